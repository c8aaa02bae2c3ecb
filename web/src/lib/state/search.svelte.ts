import { explain, type Client } from '../api/client';
import * as api from '../api/entries';
import type { Hit } from '../api/types';

export type SearchState = { at: 'idle' } | { at: 'searching' } | { at: 'shown' } | { at: 'failed'; message: string };

const pause = 150; // ms without a key before the server is asked

/** A search over the whole tree, as somebody types. */
export class Search {
  state = $state.raw<SearchState>({ at: 'idle' });
  hits = $state.raw<readonly Hit[]>([]);
  next = $state.raw('');
  /** What the keyboard stands on, an index; -1 is nothing. */
  cursor = $state.raw(-1);

  private query = '';
  private abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly client: () => Client) {}

  /** Looks for something else; what was found before stays until there is an answer. */
  find(query: string): void {
    const wanted = query.trim();
    if (wanted === this.query) return;
    this.query = wanted;
    clearTimeout(this.timer);
    this.abort.abort();
    if (!wanted) {
      this.state = { at: 'idle' };
      this.hits = [];
      this.next = '';
      this.cursor = -1;
      return;
    }
    this.state = { at: 'searching' };
    this.timer = setTimeout(() => void this.read(''), pause);
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

  private async read(after: string): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.state = { at: 'searching' };
    try {
      const found = await api.search(this.client(), { query: this.query, after }, signal);
      if (signal.aborted) return;
      this.hits = after ? [...this.hits, ...found.entries] : found.entries;
      this.next = found.next;
      if (!after) this.cursor = found.entries.length > 0 ? 0 : -1;
      this.state = { at: 'shown' };
    } catch (e) {
      if (!signal.aborted) this.state = { at: 'failed', message: explain(e) };
    }
  }
}

/** The names of the folder that a hit is in. */
export const folderOf = (hit: Hit): string[] => hit.path.split('/').filter(Boolean);
