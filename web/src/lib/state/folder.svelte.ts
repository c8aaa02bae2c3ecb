import * as api from '../api/entries';
import { ApiError, explain, type Client } from '../api/client';
import type { Entry, Listing, Order, Place, Sort } from '../api/types';
import { gapIn, onlyGap, readOf, spotOf, withPage, type Rows } from './rows';

export type FolderState = { at: 'loading' } | { at: 'shown' } | { at: 'missing' } | { at: 'failed'; message: string };

export type Change = {
  action: 'added' | 'changed' | 'moved' | 'removed';
  entry: Entry;
  path: string;
  old_parent?: number;
};

const sortKey = 'discord-cloud-sort';
const pageSize = 200;
const largestPage = 1000;

/**
 * The folder that is shown: its entries, kept up to date by changes. Of a long
 * one the parts are read that are asked for.
 */
export class Folder {
  state = $state.raw<FolderState>({ at: 'loading' });
  here = $state.raw<Entry | undefined>(undefined);
  path = $state.raw<Place[]>([]);
  /** A place for each entry, files and folders together. */
  rows = $state.raw<Rows>([]);
  files = $state.raw(0);
  folders = $state.raw(0);
  sort = $state.raw<Sort>('name');
  order = $state.raw<Order>('asc');
  /** The entries that have been read, in their order. */
  readonly entries = $derived(readOf(this.rows));
  readonly complete = $derived(this.entries.length === this.rows.length);

  private names: readonly string[] = [];
  /** In the place of names, where it is not 0. */
  private id = 0;
  private abort = new AbortController();
  /** Rows that are in sight. */
  private wanted = { from: 0, to: pageSize };
  private reading: Promise<void> | undefined;
  /** Changes that came while a page was on its way: it may be older than they are. */
  private missed: Change[] | undefined;

  constructor(private readonly client: Client) {
    const [sort, order] = (localStorage.getItem(sortKey) ?? '').split(' ');
    if (sort === 'name' || sort === 'size' || sort === 'updated_at' || sort === 'type' || sort === 'owner') this.sort = sort;
    if (order === 'asc' || order === 'desc') this.order = order;
  }

  async open(names: readonly string[], id = 0): Promise<void> {
    this.names = names;
    this.id = id;
    this.wanted = { from: 0, to: pageSize };
    await this.load(true);
  }

  /**
   * Reads the folder anew, what is in sight of it, after a time without news of
   * changes. What is shown stays where that fails, and the error is thrown.
   */
  reload(): Promise<void> {
    return this.load(this.state.at !== 'shown');
  }

  /** Throws, and stays as it was, where it fails. */
  async sortBy(sort: Sort, order: Order): Promise<void> {
    const before = { sort: this.sort, order: this.order };
    this.sort = sort;
    this.order = order;
    try {
      await this.load(false);
    } catch (e) {
      Object.assign(this, before);
      throw e;
    }
    localStorage.setItem(sortKey, `${this.sort} ${this.order}`);
  }

  /** Tells which rows are in sight: they are read, if they have not been. Throws where that fails. */
  async see(from: number, to: number): Promise<void> {
    this.wanted = { from, to };
    // A scroll calls for many places on its way: after each page it is seen where it is by then.
    while (!this.reading) {
      // As much again in front and behind, so that most scrolling finds its rows there.
      const around = this.wanted.to - this.wanted.from;
      const gap = gapIn(this.rows, this.wanted.from, this.wanted.to, largestPage);
      if (!gap || this.state.at !== 'shown') return;
      const start = Math.max(0, gap.from - (this.rows[gap.from - 1] ? 0 : around));
      await this.read(start, Math.min(this.rows.length, Math.max(gap.to + around, start + pageSize)));
    }
  }

  /** Reads what has not been read of some rows, for those who need all of them. Throws where that fails. */
  async fill(from = 0, to = Infinity): Promise<void> {
    for (;;) {
      await this.reading?.catch(() => undefined);
      const gap = gapIn(this.rows, from, to, largestPage);
      if (!gap || this.state.at !== 'shown') return;
      if (!this.reading) await this.read(gap.from, gap.to);
    }
  }

  private read(from: number, to: number): Promise<void> {
    const reading = this.readPage(from, Math.min(to, from + largestPage)).finally(() => {
      if (this.reading === reading) this.reading = undefined;
    });
    this.reading = reading;
    return reading;
  }

  private async readPage(from: number, to: number): Promise<void> {
    const { here } = this;
    const { signal } = this.abort;
    if (!here) return;
    this.missed ??= [];
    try {
      const page = await api.children(this.client, here.id, { sort: this.sort, order: this.order, offset: from, limit: to - from }, signal);
      if (signal.aborted) return;
      this.take(page, from);
      this.catchUp();
    } catch (e) {
      if (signal.aborted) return;
      this.missed = undefined;
      throw e;
    }
  }

  private async load(fresh: boolean): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.reading = undefined;
    this.missed = [];
    // A list that was there whole is there whole again: what is selected in it stays.
    const whole = !fresh && this.complete && this.rows.length <= largestPage;
    if (fresh) {
      this.state = { at: 'loading' };
      this.rows = [];
    }
    try {
      const { entry, path } = await (this.id ? api.entry(this.client, this.id, signal) : api.lookup(this.client, this.names, signal));
      if (entry.kind !== 'folder') throw new ApiError('not_found', 'this is a file');
      const ask = (offset: number, limit: number) => api.children(this.client, entry.id, { sort: this.sort, order: this.order, offset, limit }, signal);
      let from = whole ? 0 : this.wanted.from;
      let page = await ask(from, whole ? largestPage : Math.min(largestPage, Math.max(pageSize, this.wanted.to - from)));
      if (page.entries.length === 0 && from > 0) page = await ask((from = 0), pageSize); // it has become short
      if (signal.aborted) return;
      this.here = entry;
      this.path = path;
      this.rows = [];
      this.take(page, from);
      this.state = { at: 'shown' };
      this.catchUp();
    } catch (e) {
      if (signal.aborted) return;
      this.missed = undefined;
      const missing = e instanceof ApiError && e.code === 'not_found';
      if (!fresh && !missing) throw e;
      this.here = undefined;
      this.rows = [];
      this.state = missing ? { at: 'missing' } : { at: 'failed', message: explain(e) };
    }
  }

  private take(page: Listing, from: number): void {
    const total = page.files + page.folders;
    // With another number of rows than is known, nobody knows where the others are.
    this.rows = withPage(total === this.rows.length ? this.rows : [], Math.max(total, from + page.entries.length), from, page.entries);
    this.files = page.files;
    this.folders = page.folders;
  }

  private catchUp(): void {
    const missed = this.missed ?? [];
    this.missed = undefined;
    for (const c of missed) this.patch(c);
  }

  /**
   * Takes a change of anybody's. Gives the names of the place to go to if the
   * shown folder itself was renamed, moved or deleted.
   */
  apply(c: Change): string[] | undefined {
    this.missed?.push(c);
    if (!this.here) {
      // Somebody may have made, just now, the place that was missing.
      if (this.state.at === 'missing' && c.action !== 'removed' && c.entry.kind === 'folder') void this.load(true);
      return undefined;
    }
    const step = this.path.findIndex((p) => p.id === c.entry.id);
    if (step >= 0 && c.action === 'removed') return this.path.slice(0, step).map((p) => p.name);
    if (step >= 0 && c.action === 'moved') {
      const above = c.path.split('/').filter(Boolean);
      return [...above, c.entry.name, ...this.path.slice(step + 1).map((p) => p.name)];
    }
    this.patch(c);
    return undefined;
  }

  private patch(c: Change): void {
    const { here } = this;
    if (!here) return;
    if (c.entry.parent === here.id && c.action !== 'removed') this.put(c.entry, c.action === 'added' || (c.old_parent ?? here.id) !== here.id);
    else if (c.entry.parent === here.id || c.old_parent === here.id) this.drop(c.entry);
  }

  /** Takes an entry of this folder off the list. */
  private drop(entry: Entry): void {
    let at = this.rows.findIndex((e) => e?.id === entry.id);
    if (at < 0) {
      const spot = spotOf(this.rows, entry, this.sort, this.order);
      if (spot.sure) return; // told already
      at = spot.at - 1;
    }
    this.count(entry, -1);
    this.rows = this.rows.toSpliced(at, 1);
  }

  /** Puts an entry where the order wants it; among rows that have not been read it will be read with them. */
  put(entry: Entry, isNew = false): void {
    const at = this.rows.findIndex((e) => e?.id === entry.id);
    const rest = at < 0 ? this.rows : this.rows.toSpliced(at, 1);
    const spot = spotOf(rest, entry, this.sort, this.order);
    if (at < 0 && !isNew && !this.complete) {
      if (!spot.sure) return; // it is one of those, and stays among them or goes to others of them
      const hole = onlyGap(rest);
      // It has come into sight from one of several places: all between may have moved.
      if (hole < 0) void this.load(false).catch(() => undefined);
      else this.rows = rest.toSpliced(hole, 1).toSpliced(spot.at - (hole < spot.at ? 1 : 0), 0, entry);
      return;
    }
    if (at < 0) this.count(entry, 1);
    this.rows = rest.toSpliced(spot.at, 0, spot.sure ? entry : undefined);
  }

  private count(entry: Entry, by: number): void {
    if (entry.kind === 'folder') this.folders = Math.max(0, this.folders + by);
    else this.files = Math.max(0, this.files + by);
  }
}
