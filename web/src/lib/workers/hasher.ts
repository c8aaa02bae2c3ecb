/** One worker that hashes files, begun when the first one comes. */
import { ownScript } from '../scripts';
import type { Ask, Told } from './hash.worker';
import workerURL from './hash.worker.ts?worker&url';

type Waiter = { resolve: (hash: string | undefined) => void; reject: (e: Error) => void };

export class Hasher {
  private worker: Worker | undefined;
  private next = 1;
  private readonly waiting = new Map<number, Waiter>();

  /**
   * The hash of a file as entries have it, in hex; undefined where the browser lets
   * no worker work. Rejects if the file cannot be read, and with the signal's reason.
   */
  hash(file: File, signal: AbortSignal): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const id = this.next++;
      const worker = (this.worker ??= this.begin());
      const abort = () => {
        this.waiting.delete(id);
        worker.postMessage({ id, stop: true } satisfies Ask);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      const done = () => signal.removeEventListener('abort', abort);
      this.waiting.set(id, {
        resolve: (hash) => (done(), resolve(hash)),
        reject: (e) => (done(), reject(e)),
      });
      worker.postMessage({ id, file } satisfies Ask);
    });
  }

  close(): void {
    this.worker?.terminate();
    this.worker = undefined;
    this.end((w) => w.reject(new Error('the page is closing')));
  }

  private begin(): Worker {
    const worker = new Worker(ownScript(workerURL), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      const waiter = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ('hash' in data) waiter?.resolve(data.hash);
      else waiter?.reject(new Error(data.error));
    };
    worker.onerror = () => {
      this.worker = undefined;
      this.end((w) => w.resolve(undefined));
    };
    return worker;
  }

  private end(how: (w: Waiter) => void): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    all.forEach(how);
  }
}
