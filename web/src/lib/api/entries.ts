import type { Client } from './client';
import { shared } from './people';
import type { Channel, Conflict, Entry, Found, Listing, Located, Order, Sizes, Sort, Ticket, Trash } from './types';

/** "/a/b c" from names; "/" for none. */
export function joinPath(names: readonly string[]): string {
  return '/' + names.join('/');
}

export const lookup = (c: Client, names: readonly string[], signal?: AbortSignal) =>
  c.call<Located>(`/api/lookup?path=${encodeURIComponent(joinPath(names))}`, { signal });

export const entry = (c: Client, id: number, signal?: AbortSignal) => c.call<Located>(`/api/entries/${id}`, { signal });

/** A picture of a file, in whatever format the server keeps them. */
export const thumbnail = (c: Client, e: Entry, size: 256 | 1024, signal: AbortSignal) =>
  c.bytes(`/api/entries/${e.id}/thumbnail?size=${size}`, { signal });

export type Page = { sort: Sort; order: Order; after?: string; offset?: number; limit?: number; kind?: 'file' | 'folder' };

export function children(c: Client, id: number, page: Page, signal?: AbortSignal): Promise<Listing> {
  const query = new URLSearchParams({ sort: page.sort, order: page.order, limit: String(page.limit ?? 200) });
  if (page.after) query.set('after', page.after);
  if (page.offset) query.set('offset', String(page.offset));
  if (page.kind) query.set('kind', page.kind);
  return c.call<Listing>(`/api/entries/${id}/children?${query}`, { signal });
}

export const sizes = (c: Client, id: number, signal?: AbortSignal) => c.call<Sizes>(`/api/entries/${id}/sizes`, { signal });

export const makeFolder = (c: Client, parent: number, name: string, signal?: AbortSignal) =>
  c.call<{ entry: Entry; created: Entry[] }>(`/api/entries/${parent}/folders`, { method: 'POST', body: { name }, signal });

export const makePath = (c: Client, parent: number, path: string, signal?: AbortSignal) =>
  c.call<{ entry: Entry; created: Entry[] }>(`/api/entries/${parent}/folders`, { method: 'POST', body: { path }, signal });

export type Patch = { name?: string; parent?: number; public?: boolean; on_conflict?: Conflict };

export const change = (c: Client, id: number, patch: Patch, signal?: AbortSignal) =>
  c.call<{ entry: Entry }>(`/api/entries/${id}`, { method: 'PATCH', body: patch, signal });

/** How many entries one request may name. */
const mostIDs = 1_000;

function* batches(ids: readonly number[]): Generator<readonly number[]> {
  for (let i = 0; i < ids.length; i += mostIDs) yield ids.slice(i, i + mostIDs);
}

/** Moves all or nothing, of each thousand. */
export async function move(c: Client, ids: readonly number[], parent: number, onConflict: Conflict, signal?: AbortSignal): Promise<void> {
  for (const some of batches(ids)) await c.call('/api/move', { method: 'POST', body: { ids: some, parent, on_conflict: onConflict }, signal });
}

/** Deletes all or nothing, of each thousand. Gives the ids that restore takes: none where nothing is kept. */
export async function remove(c: Client, ids: readonly number[], signal?: AbortSignal): Promise<number[]> {
  const trash: number[] = [];
  for (const some of batches(ids)) {
    const deleted = await c.call<{ trash?: number[] }>('/api/delete', { method: 'POST', body: { ids: some }, signal });
    trash.push(...(deleted.trash ?? []));
  }
  return trash;
}

/** What was deleted and can be brought back, the latest first. */
export const trash = (c: Client, after: string, limit = 100, signal?: AbortSignal) =>
  c.call<Trash>(`/api/trash?${new URLSearchParams({ limit: String(limit), ...(after && { after }) })}`, { signal });

/** Brings back to where it was; a name that is taken there gets a number. */
export async function restore(c: Client, ids: readonly number[], signal?: AbortSignal): Promise<void> {
  for (const some of batches(ids)) await c.call('/api/trash/restore', { method: 'POST', body: { ids: some, on_conflict: 'rename' }, signal });
}

export const purge = (c: Client, ids: readonly number[], signal?: AbortSignal) => c.call<void>('/api/trash/purge', { method: 'POST', body: { ids }, signal });

export const emptyTrash = (c: Client, signal?: AbortSignal) => c.call<void>('/api/trash/empty', { method: 'POST', signal });

/** An address of a file's bytes for elements that ask for them by themselves. */
export async function contentURL(c: Client, entry: Entry, signal?: AbortSignal): Promise<string> {
  const { ticket } = await c.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'download', entry: entry.id }, signal });
  return c.url(`/api/entries/${entry.id}/content?${new URLSearchParams({ ticket })}`);
}

/** What to look for: of a part of a name, of stars, or of what changed last there has to be one. */
export type Search = {
  /** What is shared is listed by itself. */
  shared?: 'shared-with-me' | 'shared-by-me';
  query?: string;
  starred?: boolean;
  recent?: boolean;
  kind?: 'file' | 'folder';
  /** MIME types, or their beginnings. */
  types?: readonly string[];
  owner?: number;
  minSize?: number;
  maxSize?: number;
  since?: Date;
};

/** Entries of the whole tree, a hundred at a time. */
export function search(c: Client, wish: Search, after: string, signal?: AbortSignal): Promise<Found> {
  if (wish.shared) return shared(c, wish.shared, after, signal);
  const params = new URLSearchParams({ limit: '100' });
  const add = (key: string, value: string | number | undefined) => {
    if (value) params.set(key, String(value));
  };
  add('q', wish.query);
  add('starred', wish.starred ? 1 : 0);
  add('sort', wish.recent ? 'updated_at' : '');
  add('kind', wish.kind);
  add('type', wish.types?.join(','));
  add('owner', wish.owner);
  add('min_size', wish.minSize);
  add('max_size', wish.maxSize);
  add('since', wish.since?.toISOString());
  add('after', after);
  return c.call<Found>(`/api/search?${params}`, { signal });
}

/** How many ids fit into an address that every proxy takes. */
export const mostPicked = 400;

/** An address that downloads some entries of one folder as one zip, without a token in it: at most mostPicked. */
export async function selectionURL(c: Client, folder: number, entries: readonly Entry[], signal?: AbortSignal): Promise<string> {
  const { ticket } = await c.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'download', entry: folder }, signal });
  return c.url(`/api/entries/${folder}/archive?${new URLSearchParams({ ticket, only: entries.map((e) => e.id).join(',') })}`);
}

export const stars = (c: Client, signal?: AbortSignal) => c.call<{ ids: number[] }>('/api/stars', { signal });

export const star = (c: Client, id: number, on: boolean, signal?: AbortSignal) =>
  c.call<void>(`/api/entries/${id}/star`, { method: on ? 'PUT' : 'DELETE', signal });

/** Copies all or nothing, of each thousand; a name that is taken gets a number. */
export async function copy(c: Client, ids: readonly number[], parent: number, signal?: AbortSignal): Promise<void> {
  for (const some of batches(ids)) await c.call('/api/copy', { method: 'POST', body: { ids: some, parent, on_conflict: 'rename' }, signal });
}

/** Where the content of a file lies; for its owner, and for administrators. */
export const storage = (c: Client, id: number, signal?: AbortSignal) => c.call<{ channels: Channel[] }>(`/api/entries/${id}/storage`, { signal });

/** An address that downloads an entry without a token in it: a file as it is, a folder as a zip. */
export async function downloadURL(c: Client, entry: Entry, signal?: AbortSignal): Promise<string> {
  const { ticket } = await c.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'download', entry: entry.id }, signal });
  const query = new URLSearchParams({ ticket });
  if (entry.kind === 'folder') return c.url(`/api/entries/${entry.id}/archive?${query}`);
  query.set('download', '1');
  return c.url(`/api/entries/${entry.id}/content?${query}`);
}
