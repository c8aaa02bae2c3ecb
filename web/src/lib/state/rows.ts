/** A long list of which parts have been read: a place that has not been read is undefined. */
import type { Entry, Order, Sort } from '../api/types';
import { compareEntries } from './order';

export type Rows = readonly (Entry | undefined)[];

/** What has been read of a list, in its order. */
export const readOf = (rows: Rows): Entry[] => rows.filter((e) => e !== undefined);

/** Where an entry belongs: before the row at `at`. Not sure if rows that have not been read lie there. */
export function spotOf(rows: Rows, entry: Entry, sort: Sort, order: Order): { at: number; sure: boolean } {
  const read: number[] = [];
  for (let i = 0; i < rows.length; i++) if (rows[i]) read.push(i);
  let low = 0;
  let high = read.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareEntries(entry, rows[read[middle]!]!, sort, order) < 0) high = middle;
    else low = middle + 1;
  }
  const at = read[low] ?? rows.length;
  return { at, sure: at === (read[low - 1] ?? -1) + 1 };
}

/** A page of a list put in its place, of so many rows in all. What the page has is nowhere else. */
export function withPage(rows: Rows, total: number, from: number, page: readonly Entry[]): Rows {
  const ids = new Set(page.map((e) => e.id));
  const next = Array.from({ length: total }, (_, i) => {
    const row = rows[i];
    return row && ids.has(row.id) ? undefined : row;
  });
  page.forEach((e, i) => (next[from + i] = e));
  return next;
}

/** The first stretch in [from, to) that has not been read, both ends at most so far apart; undefined if there is none. */
export function gapIn(rows: Rows, from: number, to: number, most: number): { from: number; to: number } | undefined {
  const last = Math.min(to, rows.length);
  let first = Math.max(0, from);
  while (first < last && rows[first]) first++;
  if (first >= last) return undefined;
  let end = first;
  while (end < last && end - first < most && !rows[end]) end++;
  return { from: first, to: end };
}

/** Where the one stretch begins that has not been read; -1 if there are several. */
export function onlyGap(rows: Rows): number {
  const first = rows.findIndex((e) => !e);
  const last = rows.findLastIndex((e) => !e);
  for (let i = first; i < last; i++) if (rows[i]) return -1;
  return first;
}
