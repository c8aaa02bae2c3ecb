import { explain, patiently, type Client } from '../api/client';
import { handOver, type Hand } from '../upload/hand';

export type SendingState = { at: 'waiting' } | { at: 'sending'; sent: number } | { at: 'done' } | { at: 'failed'; message: string } | { at: 'cancelled' };

/** A file on its way to the folder of a link. */
export class Sending {
  state = $state.raw<SendingState>({ at: 'waiting' });
  abort = new AbortController();

  constructor(
    readonly key: number,
    readonly file: File,
  ) {}
}

/** Files that are sent by a link, two at a time and in their order. */
export class Sendings {
  list = $state.raw<readonly Sending[]>([]);
  private running = 0;
  private keys = 0;

  constructor(
    private readonly client: () => Client,
    /** Called after each file that has arrived, or did not: the link may have ended. */
    private readonly onover: () => void,
    private readonly hand: Hand = handOver,
    private readonly parallel = 2,
  ) {}

  add(files: Iterable<File>): void {
    this.list = [...this.list, ...Array.from(files, (file) => new Sending(++this.keys, file))];
    this.next();
  }

  cancel(s: Sending): void {
    if (s.state.at === 'waiting') s.state = { at: 'cancelled' };
    s.abort.abort(new DOMException('cancelled', 'AbortError'));
  }

  /** Sends it once more, from its beginning. */
  again(s: Sending): void {
    if (s.state.at !== 'failed' && s.state.at !== 'cancelled') return;
    s.abort = new AbortController();
    s.state = { at: 'waiting' };
    this.next();
  }

  dispose(): void {
    for (const s of this.list) this.cancel(s);
  }

  private next(): void {
    while (this.running < this.parallel) {
      const s = this.list.find((x) => x.state.at === 'waiting');
      if (!s) return;
      this.running++;
      s.state = { at: 'sending', sent: 0 };
      void this.send(s).finally(() => {
        this.running--;
        this.next();
      });
    }
  }

  private async send(s: Sending): Promise<void> {
    const { signal } = s.abort;
    const progress = (sent: number) => {
      if (!signal.aborted) s.state = { at: 'sending', sent };
    };
    try {
      await patiently(() => this.hand(this.client(), s.file, progress, signal));
      s.state = { at: 'done' };
      this.onover();
    } catch (e) {
      s.state = signal.aborted ? { at: 'cancelled' } : { at: 'failed', message: explain(e) };
      if (!signal.aborted) this.onover();
    }
  }
}
