/**
 * A bound on what goes on at once. Browsers keep six connections to a host that
 * speaks HTTP/1.1: uploads must leave some of them for everything else.
 */
export class Lanes {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Waits for a lane; gives what returns it. Rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.waiting.splice(this.waiting.indexOf(enter), 1);
        reject(signal.reason as Error);
      };
      const enter = () => {
        signal.removeEventListener('abort', abort);
        this.free--;
        let back = false;
        resolve(() => {
          if (back) return;
          back = true;
          this.free++;
          this.waiting.shift()?.();
        });
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      if (this.free > 0) {
        enter();
        return;
      }
      signal.addEventListener('abort', abort, { once: true });
      this.waiting.push(enter);
    });
  }
}
