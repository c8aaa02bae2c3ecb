import * as api from '../api/entries';
import { ApiError, explain, type Client } from '../api/client';
import type { Entry, Order, Place, Sort } from '../api/types';
import { compareEntries } from './order';

export type FolderState = { at: 'loading' } | { at: 'shown' } | { at: 'missing' } | { at: 'failed'; message: string };

export type Change = {
  action: 'added' | 'changed' | 'moved' | 'removed';
  entry: Entry;
  path: string;
  old_parent?: number;
};

const sortKey = 'discord-cloud-sort';

/** The folder that is shown: its entries, page by page, kept up to date by changes. */
export class Folder {
  state = $state.raw<FolderState>({ at: 'loading' });
  here = $state.raw<Entry | undefined>(undefined);
  path = $state.raw<Place[]>([]);
  entries = $state.raw<Entry[]>([]);
  next = $state.raw('');
  loadingMore = $state.raw(false);
  sort = $state.raw<Sort>('name');
  order = $state.raw<Order>('asc');
  selected = $state.raw<ReadonlySet<number>>(new Set());
  /** Row that the keyboard stands on. */
  cursor = $state.raw(-1);

  private names: readonly string[] = [];
  private abort = new AbortController();

  constructor(private readonly client: Client) {
    const [sort, order] = (localStorage.getItem(sortKey) ?? '').split(' ');
    if (sort === 'name' || sort === 'size' || sort === 'updated_at' || sort === 'type') this.sort = sort;
    if (order === 'asc' || order === 'desc') this.order = order;
  }

  get chosen(): Entry[] {
    return this.entries.filter((e) => this.selected.has(e.id));
  }

  async open(names: readonly string[]): Promise<void> {
    this.names = names;
    this.selected = new Set();
    this.cursor = -1;
    await this.load(true);
  }

  /** Reads the folder anew, after a change that cannot be patched in. */
  reload(): Promise<void> {
    return this.load(false);
  }

  async sortBy(sort: Sort): Promise<void> {
    this.order = this.sort === sort && this.order === 'asc' ? 'desc' : 'asc';
    this.sort = sort;
    localStorage.setItem(sortKey, `${this.sort} ${this.order}`);
    await this.load(false);
  }

  async more(): Promise<void> {
    const { here, next } = this;
    if (!here || !next || this.loadingMore) return;
    this.loadingMore = true;
    const { signal } = this.abort;
    try {
      const page = await api.children(this.client, here.id, { sort: this.sort, order: this.order, after: next }, signal);
      if (signal.aborted) return;
      const known = new Set(this.entries.map((e) => e.id));
      this.entries = [...this.entries, ...page.entries.filter((e) => !known.has(e.id))];
      this.next = page.next;
    } catch (e) {
      if (!signal.aborted) this.state = { at: 'failed', message: explain(e) };
    } finally {
      if (!signal.aborted) this.loadingMore = false;
    }
  }

  private async load(fresh: boolean): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.loadingMore = false;
    if (fresh) {
      this.state = { at: 'loading' };
      this.entries = [];
      this.next = '';
    }
    try {
      const { entry, path } = await api.lookup(this.client, this.names, signal);
      if (entry.kind !== 'folder') throw new ApiError('not_found', 'this is a file');
      const page = await api.children(this.client, entry.id, { sort: this.sort, order: this.order }, signal);
      if (signal.aborted) return;
      this.here = entry;
      this.path = path;
      this.entries = page.entries;
      this.next = page.next;
      this.state = { at: 'shown' };
      this.keepSelection();
    } catch (e) {
      if (signal.aborted) return;
      this.here = undefined;
      this.entries = [];
      this.state = e instanceof ApiError && e.code === 'not_found' ? { at: 'missing' } : { at: 'failed', message: explain(e) };
    }
  }

  private keepSelection(): void {
    const ids = new Set(this.entries.map((e) => e.id));
    this.selected = new Set([...this.selected].filter((id) => ids.has(id)));
    this.cursor = Math.min(this.cursor, this.entries.length - 1);
  }

  /**
   * Takes a change of anybody's. Gives the names of the place to go to if the
   * shown folder itself was renamed, moved or deleted.
   */
  apply(c: Change): string[] | undefined {
    const { here } = this;
    if (!here) return undefined;
    const step = this.path.findIndex((p) => p.id === c.entry.id);
    if (step >= 0 && c.action !== 'added' && c.action !== 'changed') {
      if (c.action === 'removed') return this.path.slice(0, step).map((p) => p.name);
      const above = c.path.split('/').filter(Boolean);
      return [...above, c.entry.name, ...this.path.slice(step + 1).map((p) => p.name)];
    }
    if (c.action === 'removed' || (c.entry.parent !== here.id && c.old_parent === here.id)) this.take(c.entry.id);
    else if (c.entry.parent === here.id) this.put(c.entry);
    return undefined;
  }

  private take(id: number): void {
    if (!this.entries.some((e) => e.id === id)) return;
    this.entries = this.entries.filter((e) => e.id !== id);
    this.keepSelection();
  }

  /** Puts an entry where the order wants it; beyond the pages read so far it comes with its page. */
  put(entry: Entry): void {
    const rest = this.entries.filter((e) => e.id !== entry.id);
    let at = rest.findIndex((e) => compareEntries(entry, e, this.sort, this.order) < 0);
    if (at < 0) {
      if (this.next) {
        this.entries = rest;
        return;
      }
      at = rest.length;
    }
    this.entries = [...rest.slice(0, at), entry, ...rest.slice(at)];
  }

  select(ids: Iterable<number>): void {
    this.selected = new Set(ids);
  }
}
