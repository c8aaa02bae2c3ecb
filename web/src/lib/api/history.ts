import type { Client } from './client';
import type { Entry, Kind, Ticket } from './types';

/** Who did something; nobody where the account is gone. */
type By = { id: number; name: string } | null;

/** A former content of a file. */
export type Version = { id: number; size: number; type: string; hash?: string; modified_at: string; replaced_at: string; replaced_by: By };
/** `most` and `days` are how many are kept and for how long; with 0 of either, none are. */
export type Versions = { versions: Version[]; most: number; days: number };

/** The former contents of a file, the newest first. */
export const versions = (c: Client, entry: number, signal?: AbortSignal) => c.call<Versions>(`/api/entries/${entry}/versions`, { signal });

/** An address that downloads a former content without a token in it. */
export async function versionURL(c: Client, entry: number, version: number): Promise<string> {
  const { ticket } = await c.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'download', entry } });
  return c.url(`/api/entries/${entry}/versions/${version}/content?${new URLSearchParams({ ticket, download: '1' })}`);
}

/** Makes a former content the one of now, which becomes a version. */
export const restoreVersion = (c: Client, entry: number, version: number) => c.call<{ entry: Entry }>(`/api/entries/${entry}/versions/${version}/restore`, { method: 'POST' });

export const deleteVersion = (c: Client, entry: number, version: number) => c.call<void>(`/api/entries/${entry}/versions/${version}`, { method: 'DELETE' });

export type Action = 'added' | 'changed' | 'renamed' | 'moved-in' | 'moved-out' | 'deleted' | 'restored';
/** Something that happened in a folder. */
export type Deed = { id: number; at: string; user: By; action: Action; folder: number; entry: number; kind: Kind; name: string; old_name?: string };

/** Deeds, the newest first. */
export type Activity = { activity: Deed[]; next: number };

/** What happened in a folder; `before` is the last page's `next`. */
export const activity = (c: Client, folder: number, how: { deep: boolean; before: number }, signal?: AbortSignal) =>
  c.call<Activity>(`/api/entries/${folder}/activity?${new URLSearchParams({ limit: '50', ...(how.deep && { deep: '1' }), ...(how.before && { before: String(how.before) }) })}`, { signal });
