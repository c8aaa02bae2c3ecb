import type { Entry } from '../api/types';

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

  constructor(private readonly entries: () => readonly Entry[]) {}

  /** The selected entries, in the order of the list. */
  get chosen(): Entry[] {
    const { ids } = this;
    return ids.size === 0 ? [] : this.entries().filter((e) => ids.has(e.id));
  }

  get index(): number {
    return this.cursor ? this.entries().findIndex((e) => e.id === this.cursor) : -1;
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

  all(): void {
    this.ids = new Set(this.entries().map((e) => e.id));
  }

  /** Selects from where a range begins to id. */
  extend(id: number): void {
    const list = this.entries();
    const to = list.findIndex((e) => e.id === id);
    if (to < 0) return;
    let from = list.findIndex((e) => e.id === this.anchor);
    if (from < 0) {
      from = to;
      this.anchor = id;
    }
    this.ids = new Set(list.slice(Math.min(from, to), Math.max(from, to) + 1).map((e) => e.id));
    this.cursor = id;
  }

  /** Moves the cursor by rows: alone, with a range behind it, or without touching the selection. */
  step(by: number, how: 'select' | 'extend' | 'walk'): void {
    const list = this.entries();
    if (list.length === 0) return;
    const from = this.index;
    const to = from < 0 ? (by > 0 ? 0 : list.length - 1) : Math.max(0, Math.min(list.length - 1, from + by));
    const { id } = list[to]!;
    if (how === 'extend') {
      if (this.anchor === 0) this.anchor = this.cursor || id;
      this.extend(id);
    } else if (how === 'select') this.only(id);
    else this.cursor = id;
  }

  /** Drops what is in the list no longer. */
  prune(): void {
    const there = new Set(this.entries().map((e) => e.id));
    if ([...this.ids].some((id) => !there.has(id))) this.ids = new Set([...this.ids].filter((id) => there.has(id)));
    if (!there.has(this.cursor)) this.cursor = 0;
  }
}
