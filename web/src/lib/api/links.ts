/** Links that open an entry to people without an account: theirs to open, and their makers' to keep. */
import type { Client } from './client';
import type { Entry, Kind } from './types';

export type LinkMode = 'view' | 'download' | 'upload';

/** What the holder of a link is told of it. */
export type OpenedLink = {
  mode: LinkMode;
  owner: string;
  ends_at: string | null;
  uses_left: number | null; // null for any number
};
export type Opened = { token: string; expires_at: string; link: OpenedLink; entry: Entry };

/** Throws ApiError: not_found where there is no such link (any more), unauthenticated without its password. */
export const openLink = (c: Client, link: string, password: string, signal?: AbortSignal) =>
  c.call<Opened>('/api/link', { method: 'POST', body: password ? { link, password } : { link }, signal, own401: true });

export const openedLink = (c: Client, signal?: AbortSignal) => c.call<Pick<Opened, 'link' | 'entry'>>('/api/link', { signal, own401: true });

/** A link as its maker has it. */
export type Link = {
  id: number;
  entry: { id: number; name: string; kind: Kind };
  owner: string;
  mode: LinkMode;
  name: string;
  /** Where others open it, which may lack the server; '' of the links of others. */
  url: string;
  password: boolean;
  uses: number;
  most_uses: number; // 0 for any number
  created_at: string;
  expires_at: string | null;
  used_at: string | null;
  ended: boolean;
};

export type LinkWish = {
  mode: LinkMode;
  name: string;
  password?: string; // '' takes it off; without, it stays
  most_uses: number;
  expires_at?: string;
};

export type LinkUse = { at: string; action: 'opened' | 'downloaded' | 'uploaded' | 'refused'; entry: number; name: string; address: string; agent: string };

export const linksOf = (c: Client, entry: number, signal?: AbortSignal) => c.call<{ links: Link[] }>(`/api/entries/${entry}/links`, { signal });

/** All of one's own; of everybody for administrators who ask for them. */
export const links = (c: Client, all: boolean, signal?: AbortSignal) => c.call<{ links: Link[] }>(`/api/links${all ? '?all=1' : ''}`, { signal });

export const makeLink = (c: Client, entry: number, wish: LinkWish, signal?: AbortSignal) =>
  c.call<{ link: Link }>(`/api/entries/${entry}/links`, { method: 'POST', body: wish, signal });

export const changeLink = (c: Client, id: number, wish: LinkWish, signal?: AbortSignal) => c.call<{ link: Link }>(`/api/links/${id}`, { method: 'PATCH', body: wish, signal });

export const revokeLink = (c: Client, id: number, signal?: AbortSignal) => c.call<void>(`/api/links/${id}`, { method: 'DELETE', signal });

export const linkUses = (c: Client, id: number, signal?: AbortSignal) => c.call<{ uses: LinkUse[] }>(`/api/links/${id}/uses`, { signal });
