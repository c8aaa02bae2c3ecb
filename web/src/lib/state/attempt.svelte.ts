import { explain } from '../api/client';

/** What a component does when it is asked to, one thing at a time: whether it is at it, and what went wrong last. */
export class Attempt {
  busy = $state(false);
  error = $state('');
  /** The component has gone: nobody waits for its answers any more. */
  protected gone = false;

  /** Is made while its component is, and says what goes wrong in the words of say. */
  constructor(protected readonly say: (e: unknown) => string = explain) {
    $effect(() => () => void (this.gone = true));
  }

  /**
   * Does it, unless something else is being done. True says that it was done and the
   * component is there still: a dialog that was left meanwhile has nothing to close.
   */
  async do(work: () => unknown): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.error = '';
    try {
      await work();
      return !this.gone;
    } catch (e) {
      if (!this.gone) this.error = this.say(e);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
