/**
 * The queue of uploads: as many files at a time as the manager has booked
 * services for us, several parts of each in parallel, resumed after a lost
 * connection from the parts that are confirmed. It knows no page: `changed` is
 * called when something to be shown has changed.
 */
import { ApiError, explain } from '../api/client';
import type { Data } from '../socket/socket';
import { missingParts, partCount, partRange } from './parts';
import { PostError, type Post } from './post';

export type Answer = 'skip' | 'overwrite' | 'rename';

export type State =
  | { at: 'queued' }
  | { at: 'starting' }
  | { at: 'sending' }
  | { at: 'interrupted' } // goes on by itself when there is a connection
  | { at: 'finishing' } // all parts are stored
  | { at: 'asking' } // the name is taken, a person decides
  | { at: 'done'; name: string }
  | { at: 'skipped' }
  | { at: 'failed'; message: string }
  | { at: 'cancelled' };

/** What the queue needs of a packet connection. */
export interface Link {
  readonly isOpen: boolean;
  call(id: string, data: Data, wait?: number): Promise<{ id: string; data: Data }>;
  on(id: string, f: (data: Data) => void): () => void;
}

let nextKey = 1;

/** One file on its way. */
export class Upload {
  readonly key = nextKey++;
  readonly name: string;
  readonly size: number;
  state: State = { at: 'queued' };
  /** Bytes that are stored, and bytes of parts under way. */
  stored = 0;
  readonly flying = new Map<number, number>();
  id = '';
  abort = new AbortController();
  /** Whether a booked service works on it. */
  holds = false;

  constructor(
    readonly file: File,
    /** Folder it goes to, such as /a/b. */
    readonly path: string,
    readonly isPublic: boolean,
  ) {
    this.name = file.name;
    this.size = file.size;
  }

  get sent(): number {
    let sum = this.stored;
    for (const n of this.flying.values()) sum += n;
    return Math.min(sum, this.size);
  }

  get over(): boolean {
    return ['done', 'skipped', 'failed', 'cancelled'].includes(this.state.at);
  }

  get moving(): boolean {
    return !this.over && this.state.at !== 'queued';
  }
}

export type QueueOptions = {
  link: Link;
  post: Post;
  changed: () => void;
  desired?: number;
  partsAtOnce?: number;
  tries?: number;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
};

export class UploadQueue {
  uploads: Upload[] = [];
  private booked = 0;
  private booking = false;
  private readonly off: (() => void)[];

  constructor(private readonly o: QueueOptions) {
    const { link } = o;
    this.off = [
      link.on('s2c:upload-booking-modify', (d) => {
        this.booked = Math.max(0, this.booked + Number(d['effective_change']));
        this.pump();
      }),
      link.on('s2c:upload-stage-finish', (d) => this.withUpload(d, (u) => this.release(u))),
      link.on('s2c:upload-overwrite-request', (d) => this.withUpload(d, (u) => this.set(u, { at: 'asking' }))),
      link.on('s2c:upload-overwrite-cancel', () => {
        for (const u of this.uploads) if (u.state.at === 'asking') this.set(u, { at: 'finishing' });
      }),
      link.on('s2c:upload-finish-info', (d) => this.withUpload(d, (u) => this.finish(u, d))),
      link.on('s2c:upload-interrupted', (d) => this.withUpload(d, (u) => this.interrupt(u))),
    ];
  }

  /** Ends the queue: what runs is left as it is on the server. */
  dispose(): void {
    for (const off of this.off) off();
    for (const u of this.uploads) u.abort.abort();
  }

  add(uploads: Upload[]): void {
    this.uploads = [...this.uploads, ...uploads];
    this.pump();
  }

  get questions(): Upload[] {
    return this.uploads.filter((u) => u.state.at === 'asking');
  }

  get active(): boolean {
    return this.uploads.some((u) => !u.over);
  }

  /** The connection is there (again): book, and take up what was interrupted. */
  connected(): void {
    this.booked = 0;
    for (const u of this.uploads) u.holds = false;
    this.pump();
  }

  /** The connection is gone, and with it the booking; parts are confirmed through it. */
  disconnected(): void {
    this.booked = 0;
    this.booking = false;
    for (const u of this.uploads) if (u.moving && u.state.at !== 'asking') this.interrupt(u);
    this.o.changed();
  }

  answer(u: Upload, action: Answer, all: boolean): void {
    if (u.state.at !== 'asking') return;
    this.set(u, { at: 'finishing' });
    // Its outcome comes as an event; a lost connection asks again.
    this.o.link
      .call('c2s:upload-overwrite-response', { upload_id: u.id, action, use_on_all_uploads: all }, 3_000)
      .catch(() => undefined);
  }

  cancel(u: Upload): void {
    if (u.over) return;
    const { id } = u;
    u.abort.abort();
    u.flying.clear();
    this.set(u, { at: 'cancelled' });
    if (id) this.o.link.call('c2s:upload-abort-request', { upload_id: id }).catch(() => undefined); // it expires otherwise
    this.release(u);
  }

  /** Puts a failed or cancelled upload at the end of the queue, from the start. */
  retry(u: Upload): void {
    if (!u.over) return;
    const again = new Upload(u.file, u.path, u.isPublic);
    this.uploads = this.uploads.filter((x) => x !== u);
    this.add([again]);
  }

  clear(): void {
    this.uploads = this.uploads.filter((u) => !u.over);
    this.o.changed();
  }

  private withUpload(d: Data, f: (u: Upload) => void): void {
    const u = this.uploads.find((x) => x.id !== '' && x.id === d['upload_id']);
    if (u && !u.over) f(u);
    else if (u) this.release(u);
  }

  private set(u: Upload, state: State): void {
    u.state = state;
    this.o.changed();
  }

  private release(u: Upload): void {
    u.holds = false;
    this.pump();
  }

  private finish(u: Upload, d: Data): void {
    u.flying.clear();
    u.abort.abort();
    if (d['success'] === true) {
      u.stored = u.size;
      this.set(u, { at: 'done', name: String(d['rename_target'] ?? u.name) });
    } else if (this.skipped(d)) {
      this.set(u, { at: 'skipped' });
    } else {
      this.set(u, { at: 'failed', message: String(d['reason'] ?? 'the server could not store the file') });
    }
    this.release(u);
  }

  private skipped(d: Data): boolean {
    return /skipped/i.test(String(d['reason'] ?? ''));
  }

  private interrupt(u: Upload): void {
    u.abort.abort();
    u.flying.clear();
    u.holds = false;
    this.set(u, u.id ? { at: 'interrupted' } : { at: 'queued' });
    this.pump();
  }

  /** Starts what can start. */
  private pump(): void {
    this.o.changed();
    if (!this.o.link.isOpen) return;
    const pending = this.uploads.filter((u) => u.state.at === 'queued' || u.state.at === 'interrupted');
    const held = this.uploads.filter((u) => u.holds).length;
    if (pending.length === 0) {
      if (held === 0 && this.booked > 0 && !this.booking && !this.uploads.some((u) => u.state.at === 'starting')) this.unbook();
      return;
    }
    const wanted = Math.min(this.o.desired ?? 10, pending.length + held);
    if (this.booked < wanted && !this.booking) void this.book(wanted);
    let free = this.booked - held;
    for (const u of pending) {
      if (u.size > 0) {
        if (free <= 0) continue;
        free--;
        u.holds = true;
      }
      void this.run(u);
    }
  }

  private async book(wanted: number): Promise<void> {
    this.booking = true;
    try {
      const { data } = await this.o.link.call('c2s:upload-booking-request', { desired_amount: wanted });
      const before = this.booked;
      this.booked = Number(data['amount'] ?? 0);
      // Fewer than wanted: the manager remembers the wish, and tells when one is free.
      if (this.booked > before) this.pump();
    } catch {
      // The connection is lost or slow: connected() books anew, and so does the next file.
    } finally {
      this.booking = false;
    }
  }

  private unbook(): void {
    this.booked = 0;
    this.o.link.call('c2s:upload-booking-clear', {}).catch(() => undefined); // ends with the connection anyhow
  }

  private async run(u: Upload): Promise<void> {
    u.abort = new AbortController();
    const { signal } = u.abort;
    const resuming = u.id !== '';
    this.set(u, { at: 'starting' });
    try {
      const { data } = resuming
        ? await this.o.link.call('c2s:upload-resume', { upload_id: u.id }, 15_000)
        : await this.o.link.call(
            'c2s:upload-request',
            { name: u.name, path: u.path, size: u.size, is_public: u.isPublic, conflict: 'ask', modified_at: u.file.lastModified },
            15_000,
          );
      if (u.over) {
        // Cancelled while the server was asked.
        this.o.link.call('c2s:upload-abort-request', { upload_id: data['upload_id'] }).catch(() => undefined);
        return;
      }
      if (data['accepted'] !== true) throw new ApiError('denied', String(data['rejection_reason'] ?? 'the server did not take the upload'));
      u.id = String(data['upload_id']);
      if (u.state.at === 'starting') this.set(u, { at: 'sending' });
      await this.send(u, String(data['upload_address'] ?? ''), Number(data['chunk_size']), (data['confirmed'] ?? []) as [number, number][], signal);
      if (u.state.at === 'sending') this.set(u, { at: 'finishing' });
    } catch (e) {
      this.stopped(u, e, signal);
    }
  }

  private stopped(u: Upload, e: unknown, signal: AbortSignal): void {
    if (u.over || signal.aborted) return;
    u.abort.abort();
    u.flying.clear();
    const offline = e instanceof ApiError && e.code === 'offline';
    const noService = e instanceof ApiError && e.code === 'unavailable';
    if (offline || !this.o.link.isOpen) {
      this.interrupt(u);
      return;
    }
    if (noService) {
      // Every service is busy or gone: wait for one, as for a place in the queue.
      u.holds = false;
      this.booked = 0;
      this.set(u, u.id ? { at: 'interrupted' } : { at: 'queued' });
      void (this.o.wait ?? sleep)(2_000, new AbortController().signal).then(() => this.pump());
      return;
    }
    if (e instanceof ApiError && e.code === 'not_found' && u.id) {
      // The server has forgotten it: begin again.
      u.id = '';
      u.stored = 0;
      u.holds = false;
      this.set(u, { at: 'queued' });
      this.pump();
      return;
    }
    if (u.id) this.o.link.call('c2s:upload-abort-request', { upload_id: u.id }).catch(() => undefined);
    this.set(u, { at: 'failed', message: explain(e) });
    this.release(u);
  }

  private async send(u: Upload, address: string, partSize: number, confirmed: [number, number][], signal: AbortSignal): Promise<void> {
    const parts = missingParts(partCount(u.size, partSize), confirmed);
    let open = 0;
    for (const i of parts) {
      const [from, to] = partRange(u.size, partSize, i);
      open += to - from;
    }
    u.stored = u.size - open;
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < parts.length) {
        const index = parts[next++]!;
        await this.sendPart(u, address, partSize, index, signal);
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.o.partsAtOnce ?? 3, parts.length) }, lane));
  }

  private async sendPart(u: Upload, address: string, partSize: number, index: number, signal: AbortSignal): Promise<void> {
    const [from, to] = partRange(u.size, partSize, index);
    const body = u.file.slice(from, to);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.o.post(
          address,
          { upload: u.id, index, body },
          (sent) => {
            u.flying.set(index, sent);
            this.o.changed();
          },
          signal,
        );
        u.flying.delete(index);
        u.stored += to - from;
        this.o.changed();
        return;
      } catch (e) {
        u.flying.delete(index);
        if (signal.aborted) throw e;
        if (!(e instanceof PostError) || !e.again || attempt >= (this.o.tries ?? 10)) throw e;
        await (this.o.wait ?? sleep)(Math.min(10_000, 250 * 2 ** attempt), signal);
      }
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    }, { once: true });
  });
}
