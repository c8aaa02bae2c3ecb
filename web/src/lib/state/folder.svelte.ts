import * as api from '../api/entries';
import { ApiError, explain, type Client } from '../api/client';
import type { Entry, Order, Place, Sort } from '../api/types';
import { placeIn } from './order';

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

/** The folder that is shown: its entries, page by page, kept up to date by changes. */
export class Folder {
  state = $state.raw<FolderState>({ at: 'loading' });
  here = $state.raw<Entry | undefined>(undefined);
  path = $state.raw<Place[]>([]);
  entries = $state.raw<Entry[]>([]);
  /** How many there are, with those that are not read yet. */
  files = $state.raw(0);
  folders = $state.raw(0);
  next = $state.raw('');
  loadingMore = $state.raw(false);
  sort = $state.raw<Sort>('name');
  order = $state.raw<Order>('asc');

  private names: readonly string[] = [];
  private abort = new AbortController();
  /** Changes that came while a page was on its way: it may be older than they are. */
  private missed: Change[] | undefined;

  constructor(private readonly client: Client) {
    const [sort, order] = (localStorage.getItem(sortKey) ?? '').split(' ');
    if (sort === 'name' || sort === 'size' || sort === 'updated_at' || sort === 'type') this.sort = sort;
    if (order === 'asc' || order === 'desc') this.order = order;
  }

  async open(names: readonly string[]): Promise<void> {
    this.names = names;
    await this.load(true);
  }

  /**
   * Reads the folder anew, as far as it was read, after a time without news of
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
      await this.load(false, pageSize);
    } catch (e) {
      Object.assign(this, before);
      throw e;
    }
    localStorage.setItem(sortKey, `${this.sort} ${this.order}`);
  }

  /** Reads the next page; throws where that fails. */
  async more(): Promise<void> {
    const { here, next } = this;
    if (!here || !next || this.loadingMore) return;
    this.loadingMore = true;
    this.missed ??= [];
    const { signal } = this.abort;
    try {
      const page = await api.children(this.client, here.id, { sort: this.sort, order: this.order, after: next, limit: largestPage }, signal);
      if (signal.aborted) return;
      const known = new Set(this.entries.map((e) => e.id));
      this.entries = [...this.entries, ...page.entries.filter((e) => !known.has(e.id))];
      this.next = page.next;
      this.catchUp();
    } catch (e) {
      if (signal.aborted) return;
      this.missed = undefined;
      throw e;
    } finally {
      if (!signal.aborted) this.loadingMore = false;
    }
  }

  private async load(fresh: boolean, atLeast = Math.max(pageSize, this.entries.length)): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.loadingMore = false;
    this.missed = [];
    if (fresh) {
      atLeast = pageSize;
      this.state = { at: 'loading' };
      this.entries = [];
      this.next = '';
    }
    try {
      const { entry, path } = await api.lookup(this.client, this.names, signal);
      if (entry.kind !== 'folder') throw new ApiError('not_found', 'this is a file');
      const entries: Entry[] = [];
      let after = '';
      do {
        const limit = Math.min(largestPage, atLeast - entries.length);
        const page = await api.children(this.client, entry.id, { sort: this.sort, order: this.order, after, limit }, signal);
        entries.push(...page.entries);
        after = page.next;
        this.files = page.files;
        this.folders = page.folders;
      } while (after && entries.length < atLeast);
      if (signal.aborted) return;
      this.here = entry;
      this.path = path;
      this.entries = entries;
      this.next = after;
      this.state = { at: 'shown' };
      this.catchUp();
    } catch (e) {
      if (signal.aborted) return;
      this.missed = undefined;
      const missing = e instanceof ApiError && e.code === 'not_found';
      if (!fresh && !missing) throw e;
      this.here = undefined;
      this.entries = [];
      this.state = missing ? { at: 'missing' } : { at: 'failed', message: explain(e) };
    }
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
    else if (c.entry.parent === here.id || c.old_parent === here.id) this.take(c.entry);
  }

  /** Takes an entry of this folder off the list. */
  private take(entry: Entry): void {
    const rest = this.entries.filter((e) => e.id !== entry.id);
    if (rest.length === this.entries.length && !this.next) return; // told already
    this.count(entry, -1);
    this.entries = rest;
  }

  /** Puts an entry where the order wants it; beyond the pages read so far it comes with its page. */
  put(entry: Entry, isNew = false): void {
    const rest = this.entries.filter((e) => e.id !== entry.id);
    const known = rest.length < this.entries.length;
    if (!known && (isNew || !this.next)) this.count(entry, 1);
    const at = placeIn(rest, entry, this.sort, this.order);
    this.entries = at === rest.length && this.next ? rest : [...rest.slice(0, at), entry, ...rest.slice(at)];
  }

  private count(entry: Entry, by: number): void {
    if (entry.kind === 'folder') this.folders = Math.max(0, this.folders + by);
    else this.files = Math.max(0, this.files + by);
  }
}
