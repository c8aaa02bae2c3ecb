import type { Entry } from '../api/types';
import { readOf, type Rows } from './rows';

/**
 * Which entries of a list are selected, and where the keyboard stands. It keeps
 * ids, so that a list may change under it.
 */
export class Selection {
  ids = $state.raw<ReadonlySet<number>>(new Set());
  /** Entry that the keyboard stands on; 0 is none. */
  cursor = $state.raw(0);
  /** Where a range begins. */
  private anchor = 0;

  constructor(private readonly rows: () => Rows) {}

  /** The selected entries, in the order of the list. */
  get chosen(): Entry[] {
    const { ids } = this;
    return ids.size === 0 ? [] : readOf(this.rows()).filter((e) => ids.has(e.id));
  }

  get index(): number {
    return this.cursor ? this.indexOf(this.cursor) : -1;
  }

  private indexOf(id: number): number {
    return this.rows().findIndex((e) => e?.id === id);
  }

  has(id: number): boolean {
    return this.ids.has(id);
  }

  clear(): void {
    this.ids = new Set();
  }

  /** Forgets all, for another list. */
  reset(): void {
    this.clear();
    this.cursor = 0;
    this.anchor = 0;
  }

  only(id: number): void {
    this.ids = new Set([id]);
    this.cursor = this.anchor = id;
  }

  /** Puts the keyboard on an entry without selecting it. */
  stand(id: number): void {
    this.cursor = this.anchor = id;
  }

  toggle(id: number): void {
    const ids = new Set(this.ids);
    if (!ids.delete(id)) ids.add(id);
    this.ids = ids;
    this.cursor = this.anchor = id;
  }

  /** All that has been read. */
  all(): void {
    this.ids = new Set(readOf(this.rows()).map((e) => e.id));
  }

  /** The rows from where a range begins to a row, the last excluded. */
  rangeTo(index: number): { from: number; to: number } {
    const from = this.indexOf(this.anchor || this.cursor);
    return from < 0 ? { from: index, to: index + 1 } : { from: Math.min(from, index), to: Math.max(from, index) + 1 };
  }

  /** Selects from where a range begins to id, as far as it has been read. */
  extend(id: number): void {
    const to = this.indexOf(id);
    if (to < 0) return;
    if (this.indexOf(this.anchor) < 0) this.anchor = id;
    const range = this.rangeTo(to);
    this.ids = new Set(readOf(this.rows().slice(range.from, range.to)).map((e) => e.id));
    this.cursor = id;
  }

  /** The row that so many rows on from the cursor is; -1 in an empty list. */
  target(by: number): number {
    const last = this.rows().length - 1;
    if (last < 0) return -1;
    const from = this.index;
    if (from < 0 && Number.isFinite(by)) return by > 0 ? 0 : last;
    return Math.max(0, Math.min(last, from + by));
  }

  /** Puts the cursor on a row that has been read: alone, with a range behind it, or without touching the selection. */
  reach(index: number, how: 'select' | 'extend' | 'walk'): void {
    const id = this.rows()[index]?.id;
    if (!id) return;
    if (how === 'extend') {
      if (this.anchor === 0) this.anchor = this.cursor || id;
      this.extend(id);
    } else if (how === 'select') this.only(id);
    else this.cursor = id;
  }

  /** Moves the cursor by rows. */
  step(by: number, how: 'select' | 'extend' | 'walk'): void {
    this.reach(this.target(by), how);
  }

  /** Drops what is in the list no longer. */
  prune(): void {
    if (this.ids.size === 0 && this.cursor === 0) return;
    const there = new Set(readOf(this.rows()).map((e) => e.id));
    if ([...this.ids].some((id) => !there.has(id))) this.ids = new Set([...this.ids].filter((id) => there.has(id)));
    if (!there.has(this.cursor)) this.cursor = 0;
  }
}
