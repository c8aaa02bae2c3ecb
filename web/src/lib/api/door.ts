/** What is asked of the server by those who are not, or not yet, signed in; and how accounts are reached. */
import type { Client } from './client';
import type { Signed } from './types';

export type Amount = { files: number; bytes: number };

export type Invitation = {
  id: number;
  name: string;
  address: string;
  made_by: string;
  most: Amount;
  groups: number[];
  uses: number;
  most_uses: number;
  created_at: string;
  expires_at: string;
  over: boolean;
};

export type InvitationWish = { name: string; address: string; most: Amount; groups: number[]; most_uses: number; expires_at: string; language: string };

export const invitations = (c: Client, signal?: AbortSignal) => c.call<{ invitations: Invitation[]; mail: boolean }>('/api/invitations', { signal });

/** The address is told in this answer and never again. */
export const invite = (c: Client, wish: InvitationWish, signal?: AbortSignal) =>
  c.call<{ invitation: Invitation; url: string; sent: boolean }>('/api/invitations', { method: 'POST', body: wish, signal });

export const revokeInvitation = (c: Client, id: number, signal?: AbortSignal) => c.call<void>(`/api/invitations/${id}`, { method: 'DELETE', signal });

export const openInvitation = (c: Client, token: string, signal?: AbortSignal) =>
  c.call<{ made_by: string; expires_at: string }>('/api/invitation', { method: 'POST', body: { token }, signal });

export const acceptInvitation = (c: Client, token: string, username: string, password: string, signal?: AbortSignal) =>
  c.call<Signed>('/api/invitation/accept', { method: 'POST', body: { token, username, password }, signal });

/** The address is told in this answer and never again. */
export const makeResetLink = (c: Client, user: number, signal?: AbortSignal) =>
  c.call<{ url: string; expires_at: string }>(`/api/users/${user}/reset-link`, { method: 'POST', signal });

export const openReset = (c: Client, token: string, signal?: AbortSignal) => c.call<{ username: string }>('/api/reset', { method: 'POST', body: { token }, signal });

export const resetPassword = (c: Client, token: string, password: string, signal?: AbortSignal) =>
  c.call<{ username: string }>('/api/reset/password', { method: 'POST', body: { token, password }, signal });

/** The answer is the same for all. */
export const askReset = (c: Client, of: string, language: string, signal?: AbortSignal) =>
  c.call<void>('/api/reset/mail', { method: 'POST', body: { of, language }, signal });

export const address = (c: Client, signal?: AbortSignal) => c.call<{ address: string; mail: boolean }>('/api/address', { signal });

export const changeAddress = (c: Client, to: string, password: string, language: string, signal?: AbortSignal) =>
  c.call<void>('/api/address', { method: 'PUT', body: { address: to, password, language }, signal, own401: true });

export const confirmAddress = (c: Client, token: string, signal?: AbortSignal) => c.call<void>('/api/address/confirm', { method: 'POST', body: { token }, signal });

/** Where to sign in, and what to keep meanwhile. */
export type Departure = { url: string; key: string };
export type Return = { state: string; code: string; key: string };
export type Identity = { id: string; issuer: string; name: string; created_at: string };

export const depart = (c: Client, signal?: AbortSignal) => c.call<Departure>('/api/openid', { method: 'POST', signal });

export const arrive = (c: Client, { state, code, key }: Return, signal?: AbortSignal) =>
  c.call<Signed>('/api/openid/arrive', { method: 'POST', body: { state, code, key }, signal });

export const identities = (c: Client, signal?: AbortSignal) => c.call<{ identities: Identity[]; openid: string }>('/api/identities', { signal });

export const departToLink = (c: Client, password: string, signal?: AbortSignal) =>
  c.call<Departure>('/api/identities', { method: 'POST', body: { password }, signal, own401: true });

export const linkIdentity = (c: Client, { state, code, key }: Return, signal?: AbortSignal) =>
  c.call<void>('/api/identities/link', { method: 'POST', body: { state, code, key }, signal });

export const unlinkIdentity = (c: Client, id: string, signal?: AbortSignal) => c.call<void>(`/api/identities/${encodeURIComponent(id)}`, { method: 'DELETE', signal });
