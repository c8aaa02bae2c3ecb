import type { Client } from './client';
import type { Entry, Hit } from './types';

export type Named = { id: number; name: string };
export type PersonKind = 'users' | 'groups';
/** A user or a group, as somebody that things are shared with. */
export type Person = Named & { kind: PersonKind };
/** `from` is the folder above that it is of, where that may be seen. */
export type Share = { user?: Named; group?: Named; can_write: boolean; shared_at: string; from?: Named };
/** `inherited` is who gets at it by a share of a folder above. */
export type Shares = { shares: Share[]; inherited: Share[] };
export type SharedEntry = Entry & { shared_at?: string; shares?: Share[] };

export const personOf = (s: Share): Person => (s.group ? { ...s.group, kind: 'groups' } : { ...(s.user ?? { id: 0, name: '' }), kind: 'users' });

/** Users and groups with a text in their names. */
export async function people(c: Client, query: string, kinds: readonly PersonKind[], signal?: AbortSignal): Promise<Person[]> {
  const params = new URLSearchParams({ query });
  const lists = await Promise.all(kinds.map((kind) => c.call<Partial<Record<PersonKind, Named[]>>>(`/api/${kind}?${params}`, { signal })));
  return lists.flatMap((list, i) => (list[kinds[i]!] ?? []).map(({ id, name }) => ({ id, name, kind: kinds[i]! })));
}

export const shares = (c: Client, entry: number, signal?: AbortSignal) => c.call<Shares>(`/api/entries/${entry}/shares`, { signal });

export const share = (c: Client, entry: number, { kind, id }: Person, canWrite: boolean) =>
  c.call<Shares>(`/api/entries/${entry}/shares/${kind}/${id}`, { method: 'PUT', body: { can_write: canWrite } });

export const unshare = (c: Client, entry: number, { kind, id }: Person) => c.call<void>(`/api/entries/${entry}/shares/${kind}/${id}`, { method: 'DELETE' });

export type Transfer = { user: number; deep: boolean; keep: boolean };

/** Gives an entry to another user. The answer has none where it is out of sight after that. */
export const transfer = (c: Client, entry: number, how: Transfer) => c.call<{ entry: Entry | null }>(`/api/entries/${entry}/transfer`, { method: 'POST', body: how });

/** What others share with the asker, or the asker with others, as a search finds it. */
export async function shared(c: Client, how: 'shared-with-me' | 'shared-by-me', after: string, signal?: AbortSignal): Promise<{ entries: Hit[]; next: string }> {
  const { entries, next } = await c.call<{ entries: SharedEntry[]; next: string }>(`/api/${how}?${new URLSearchParams({ limit: '100', ...(after && { after }) })}`, { signal });
  return { entries: entries.map((e) => ({ ...e, path: '' })), next };
}
