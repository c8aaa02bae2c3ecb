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
