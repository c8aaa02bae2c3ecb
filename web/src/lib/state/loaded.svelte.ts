import { explain } from '../api/client';

/** An answer of the server that is asked for again: what came last, and what went wrong since. */
export class Loaded<T> {
  value = $state.raw<T>();
  error = $state('');
  private abort = new AbortController();

  constructor(private readonly ask: (signal: AbortSignal) => Promise<T>) {}

  async read(): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    try {
      this.value = await this.ask(signal);
      this.error = '';
    } catch (e) {
      if (!signal.aborted) this.error = explain(e);
    }
  }

  /** Does something, and reads again. */
  async after(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      await this.read();
    } catch (e) {
      this.error = explain(e);
    }
  }

  end(): void {
    this.abort.abort();
  }
}
