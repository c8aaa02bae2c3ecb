import type { Client } from './client';

export type Amount = { files: number; bytes: number };
/** What counts to somebody, and how much may; a bound of 0 is none. */
export type Space = {
  files: Amount;
  trash: Amount;
  versions: Amount;
  /** How much goes of trash and versions on which day. */
  freed: { day: string; bytes: number }[];
  quota: { used: Amount; reserved: Amount; most: Amount };
};

export const space = (c: Client, signal?: AbortSignal) => c.call<Space>('/api/space', { signal });

/** What somebody has in a folder of the top (0: in none of them, -1: in the trash), of one MIME type. Folders that are hidden from the asker have no name. */
export type Usage = { folder: number; name: string; type: string } & Amount;

/** Of the asker, or of another user for administrators. */
export const usage = (c: Client, user: number | undefined, signal?: AbortSignal) =>
  c.call<{ usage: Usage[] }>(user === undefined ? '/api/usage' : `/api/quotas/${user}/usage`, { signal });
