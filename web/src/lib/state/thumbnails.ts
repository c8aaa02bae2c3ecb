import type { Client } from '../api/client';
import type { Entry } from '../api/types';

type Wanted = { key: string; path: string; abort: AbortController; waiting: number; resolve: (url: string) => void; reject: (e: unknown) => void; promise: Promise<string> };

/**
 * Small pictures of files, as addresses for <img>. Some are fetched at a time,
 * the latest wish first: that is what is in sight. The last ones used are kept.
 */
export class Thumbnails {
  private readonly kept = new Map<string, string>();
  private readonly wanted = new Map<string, Wanted>();
  private readonly queue: Wanted[] = [];
  private running = 0;
  private over = false;

  constructor(
    private readonly client: () => Client,
    private readonly parallel = 6,
    private readonly most = 600,
  ) {}

  /** The address of a picture that is here already. */
  known(entry: Entry): string | undefined {
    const key = keyOf(entry);
    const url = this.kept.get(key);
    if (url) {
      this.kept.delete(key);
      this.kept.set(key, url); // used last
    }
    return url;
  }

  /** Fetches a picture, unless the signal says in time that nobody wants it any more. */
  get(entry: Entry, signal: AbortSignal): Promise<string> {
    const known = this.known(entry);
    if (known) return Promise.resolve(known);
    const key = keyOf(entry);
    let w = this.wanted.get(key);
    if (!w) {
      let resolve!: Wanted['resolve'];
      let reject!: Wanted['reject'];
      const promise = new Promise<string>((yes, no) => {
        resolve = yes;
        reject = no;
      });
      promise.catch(() => undefined); // those who wait hear of it; there may be none left
      w = { key, path: `/api/entries/${entry.id}/thumbnail?size=256`, abort: new AbortController(), waiting: 0, promise, resolve, reject };
      this.wanted.set(key, w);
      this.queue.push(w);
    }
    const mine = w;
    mine.waiting++;
    signal.addEventListener('abort', () => {
      if (--mine.waiting === 0) this.forget(mine);
    });
    this.next();
    return mine.promise;
  }

  dispose(): void {
    this.over = true;
    for (const w of this.wanted.values()) w.abort.abort();
    for (const url of this.kept.values()) URL.revokeObjectURL(url);
    this.kept.clear();
    this.queue.length = 0;
  }

  private forget(w: Wanted): void {
    w.abort.abort();
    // Whoever wants it now, in the same moment even, begins anew.
    if (this.wanted.get(w.key) === w) this.wanted.delete(w.key);
    const at = this.queue.indexOf(w);
    if (at < 0) return;
    this.queue.splice(at, 1);
    w.reject(w.abort.signal.reason);
  }

  private next(): void {
    while (this.running < this.parallel) {
      const w = this.queue.pop();
      if (!w) return;
      this.running++;
      void this.fetch(w).finally(() => {
        this.running--;
        this.next();
      });
    }
  }

  private async fetch(w: Wanted): Promise<void> {
    try {
      const bytes = await this.client().bytes(w.path, { signal: w.abort.signal });
      if (this.over) throw new Error('nobody looks any more');
      const url = URL.createObjectURL(new Blob([bytes]));
      this.kept.set(w.key, url);
      this.evict();
      w.resolve(url);
    } catch (e) {
      w.reject(e);
    } finally {
      if (this.wanted.get(w.key) === w) this.wanted.delete(w.key);
    }
  }

  private evict(): void {
    for (const [key, url] of this.kept) {
      if (this.kept.size <= this.most) return;
      this.kept.delete(key);
      URL.revokeObjectURL(url);
    }
  }
}

/** Another content has another picture. */
const keyOf = (e: Entry) => `${e.id} ${e.hash ?? e.updated_at}`;
