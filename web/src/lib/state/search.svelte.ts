import { explain, type Client } from '../api/client';
import * as api from '../api/entries';
import type { Entry, Hit } from '../api/types';

export type SearchState = { at: 'idle' } | { at: 'searching' } | { at: 'shown' } | { at: 'failed'; message: string };

const pause = 150; // ms without a key before the server is asked
const settle = 400; // ms without a change before the list is read anew

/** A list of entries from the whole tree: found as somebody types, starred, or changed last. */
export class Search {
  state = $state.raw<SearchState>({ at: 'idle' });
  hits = $state.raw<readonly Hit[]>([]);
  next = $state.raw('');
  /** What the keyboard stands on, an index; -1 is nothing. */
  cursor = $state.raw(-1);

  private wish: api.Search | undefined;
  private key = '';
  private abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly client: () => Client) {}

  /** Looks for something else, or for nothing; what was found before stays until there is an answer. */
  find(wish: api.Search | undefined, typed = false): void {
    const key = wish ? JSON.stringify({ ...wish, since: wish.since?.toDateString() }) : '';
    if (key === this.key) return;
    const before = this.wish;
    this.key = key;
    this.wish = wish;
    clearTimeout(this.timer);
    this.abort.abort();
    if (!wish) {
      this.state = { at: 'idle' };
      this.forget();
      return;
    }
    if (Boolean(before?.query) !== Boolean(wish.query)) this.forget(); // another kind of list
    this.state = { at: 'searching' };
    this.timer = setTimeout(() => void this.read(''), typed ? pause : 0);
  }

  again(): void {
    void this.read('');
  }

  more(): void {
    if (this.next && this.state.at === 'shown') void this.read(this.next);
  }

  step(by: number): void {
    const last = this.hits.length - 1;
    this.cursor = last < 0 ? -1 : Math.max(0, Math.min(last, this.cursor + by));
    if (this.cursor === last) this.more();
  }

  /** Something has changed somewhere: what is listed is read anew soon. */
  changed(entry?: Entry, gone = false): void {
    if (this.state.at === 'idle') return;
    if (entry) this.hits = gone ? this.hits.filter((h) => h.id !== entry.id) : this.hits.map((h) => (h.id === entry.id ? { ...h, ...entry } : h));
    if (this.state.at === 'searching') return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.read('', true), settle);
  }

  private forget(): void {
    this.hits = [];
    this.next = '';
    this.cursor = -1;
  }

  private async read(after: string, quiet = false): Promise<void> {
    if (!this.wish) return;
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    if (!quiet) this.state = { at: 'searching' };
    try {
      const found = await api.search(this.client(), this.wish, after, signal);
      if (signal.aborted) return;
      this.hits = after ? [...this.hits, ...found.entries] : found.entries;
      this.next = found.next;
      if (!after) this.cursor = quiet ? Math.min(this.cursor, found.entries.length - 1) : found.entries.length > 0 ? 0 : -1;
      this.state = { at: 'shown' };
    } catch (e) {
      if (!signal.aborted && !quiet) this.state = { at: 'failed', message: explain(e) };
    }
  }
}

/** The names of the folder that a hit is in. */
export const folderOf = (hit: Hit): string[] => hit.path.split('/').filter(Boolean);
