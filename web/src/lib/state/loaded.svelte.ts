import { Attempt } from './attempt.svelte';

/** An answer of the server that is asked for again and worked on: what came last, and what went wrong since. */
export class Loaded<T> extends Attempt {
  value = $state.raw<T>();
  private asked = new AbortController();

  constructor(
    /** Asks for it; with what is shown, for that and what comes behind it. */
    private readonly ask: (signal: AbortSignal, shown: T | undefined) => Promise<T>,
    say?: (e: unknown) => string,
  ) {
    super(say);
    $effect(() => () => this.asked.abort());
  }

  /** Neither the answer is there nor the reason why not. */
  get waiting(): boolean {
    return this.value === undefined && this.error === '';
  }

  /** Asks anew. What was asked before is not waited for. */
  read(): Promise<void> {
    return this.take(undefined);
  }

  more(): Promise<void> {
    return this.take(this.value);
  }

  /** Does something, and reads again. */
  async after(work: () => unknown): Promise<boolean> {
    const done = await this.do(work);
    if (done) await this.read();
    return done;
  }

  private async take(shown: T | undefined): Promise<void> {
    if (this.gone) return;
    this.asked.abort();
    this.asked = new AbortController();
    const { signal } = this.asked;
    try {
      const value = await this.ask(signal, shown);
      if (signal.aborted) return;
      this.value = value;
      this.error = '';
    } catch (e) {
      if (!signal.aborted) this.error = this.say(e);
    }
  }
}
