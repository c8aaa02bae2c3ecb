/**
 * The queue of uploads: as many files at a time as the manager has booked
 * services for us, several parts of each in parallel, resumed after a lost
 * connection from the parts that are confirmed. It knows no page: `changed` is
 * called when something to be shown has changed.
 */
import { ApiError, explain } from '../api/client';
import type { Data } from '../socket/socket';
import { Lanes } from './lanes';
import type { Range } from './parts';
import { PostError, type Post } from './post';
import { sendParts, sleep, type SenderOptions, type Wait } from './sender';
import { Upload, type Answer, type State } from './upload';

/** What the queue needs of a packet connection. */
export interface Link {
  readonly isOpen: boolean;
  call(id: string, data: Data, wait?: number): Promise<{ id: string; data: Data }>;
  send(id: string, data: Data): void;
  on(id: string, f: (data: Data) => void): () => void;
}

export type QueueOptions = {
  link: Link;
  post: Post;
  changed: () => void;
  /** Files at once, if there are services for so many. */
  filesAtOnce?: number;
  /** Parts at once, of one file and of all. */
  partsAtOnce?: number;
  postsAtOnce?: number;
  /** How often one part is sent before the upload is asked about anew. */
  tries?: number;
  wait?: Wait;
};

/** How often an upload may be set back without progress before it has failed. */
const mostSetbacks = 8;

/** The manager has answered, and refused. */
class Refusal extends Error {}

export class UploadQueue {
  uploads: Upload[] = [];
  private booked = 0;
  private wished = 0;
  private booking = false;
  /** Counts connections, so that answers of an old one are told apart. */
  private epoch = 0;
  private always: Answer | undefined;
  private readonly filesAtOnce: number;
  private readonly wait: Wait;
  private readonly sender: SenderOptions;
  private readonly end = new AbortController();
  private readonly off: (() => void)[];

  constructor(private readonly o: QueueOptions) {
    const { link } = o;
    this.filesAtOnce = o.filesAtOnce ?? 6;
    this.wait = o.wait ?? sleep;
    this.sender = {
      post: o.post,
      lanes: new Lanes(o.postsAtOnce ?? 4),
      changed: o.changed,
      partsAtOnce: o.partsAtOnce ?? 3,
      tries: o.tries ?? 10,
      wait: this.wait,
    };
    this.off = [
      link.on('s2c:upload-booking-modify', (d) => this.rebooked(Number(d['effective_change']))),
      link.on('s2c:upload-stage-finish', (d) => this.find(d, (u) => this.release(u))),
      link.on('s2c:upload-overwrite-request', (d) => this.question(d)),
      link.on('s2c:upload-overwrite-cancel', () => this.settled()),
      link.on('s2c:upload-finish-info', (d) => this.find(d, (u) => this.finish(u, d))),
      link.on('s2c:upload-interrupted', (d) => this.find(d, (u) => this.setBack(u, String(d['reason'] ?? '')))),
    ];
  }

  /** Ends the queue: what runs is left as it is on the server. */
  dispose(): void {
    for (const off of this.off) off();
    this.end.abort();
    for (const u of this.uploads) u.abort.abort();
  }

  add(uploads: readonly Upload[]): void {
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
    this.forgetBooking();
    for (const u of this.uploads) u.resting = false;
    this.pump();
  }

  /** The connection is gone, and with it the booking. */
  disconnected(): void {
    this.forgetBooking();
    this.uploads = this.uploads.filter((u) => u.over || u.file); // the others are asked about again
    for (const u of this.uploads) if (u.moving) this.interrupt(u);
    this.o.changed();
  }

  /** Answers a question; with all, every other one too, open or to come, until nothing is to be done any more. */
  answer(u: Upload, action: Answer, all: boolean): void {
    if (u.state.at !== 'asking') return;
    if (all) this.always = action;
    this.reply(u, action, all);
  }

  cancel(u: Upload): void {
    if (u.over) return;
    u.abort.abort();
    u.flying.clear();
    this.set(u, { at: 'cancelled' });
    if (u.id) this.abort(u.id);
    this.release(u);
  }

  cancelAll(): void {
    for (const u of this.uploads) this.cancel(u);
  }

  /** Puts an upload that did not succeed at the end of the queue, from the start. */
  retry(u: Upload): void {
    if (!u.over || u.state.at === 'done' || !u.file) return;
    this.uploads = this.uploads.filter((x) => x !== u);
    this.add([Upload.of(u.file, u.path, u.isPublic)]);
  }

  /** Takes what is over off the list. */
  clear(): void {
    this.uploads = this.uploads.filter((u) => !u.over);
    this.o.changed();
  }

  private find(d: Data, f: (u: Upload) => void): void {
    const u = this.uploads.find((x) => x.id !== '' && x.id === d['upload_id']);
    if (!u) return;
    // A cancelled one that was finished all the same is there, and is shown so.
    if (!u.over || (u.state.at === 'cancelled' && d['success'] === true)) f(u);
    else this.release(u);
  }

  private set(u: Upload, state: State): void {
    u.state = state;
    this.o.changed();
  }

  private release(u: Upload): void {
    u.holds = false;
    this.pump();
  }

  private abort(id: string): void {
    // Without an answer it expires on the server.
    this.o.link.call('c2s:upload-abort-request', { upload_id: id }).catch(() => undefined);
  }

  private question(d: Data): void {
    const id = String(d['upload_id']);
    let u = this.uploads.find((x) => x.id === id);
    if (!u) {
      u = Upload.ofEarlier(id, String(d['file_name']), String(d['file_path']));
      this.uploads = [...this.uploads, u];
    }
    if (u.over) return;
    u.stored = u.size;
    u.flying.clear();
    u.holds = false;
    this.set(u, { at: 'asking' });
    if (this.always) this.reply(u, this.always, false);
    this.pump();
  }

  private settled(): void {
    for (const u of this.uploads) if (u.state.at === 'asking') this.set(u, { at: 'finishing' });
  }

  private reply(u: Upload, action: Answer, all: boolean): void {
    this.set(u, { at: 'finishing' });
    this.o.link.send('c2s:upload-overwrite-response', { upload_id: u.id, action, use_on_all_uploads: all });
  }

  private finish(u: Upload, d: Data): void {
    u.flying.clear();
    u.abort.abort();
    const reason = String(d['reason'] ?? 'the server could not store the file');
    if (d['success'] === true) {
      u.stored = u.size;
      this.set(u, { at: 'done', name: String(d['rename_target'] ?? u.name) });
    } else if (/^skipped/i.test(reason)) {
      this.set(u, { at: 'skipped' });
    } else {
      this.set(u, { at: 'failed', message: explain(new Error(reason)) });
    }
    this.release(u);
  }

  /** Stops the work on u, to go on with it later. */
  private interrupt(u: Upload): void {
    u.abort.abort();
    u.flying.clear();
    u.holds = false;
    this.set(u, u.id ? { at: 'interrupted' } : { at: 'queued' });
  }

  /** Interrupts u and tries again: at once the first time, later and later without progress, and not for ever. */
  private setBack(u: Upload, reason: string): void {
    if (!u.file) {
      this.uploads = this.uploads.filter((x) => x !== u); // somebody else goes on with it
      this.o.changed();
      return;
    }
    if (u.setbacks >= mostSetbacks) {
      this.fail(u, new Error(reason));
      return;
    }
    this.interrupt(u);
    this.rest(u, u.setbacks === 0 ? 0 : 1_000 * 2 ** (u.setbacks - 1));
  }

  private rest(u: Upload, ms: number): void {
    u.setbacks++;
    if (ms > 0) {
      u.resting = true;
      this.wait(Math.min(ms, 30_000), this.end.signal).then(
        () => {
          u.resting = false;
          this.pump();
        },
        () => undefined, // the queue has ended
      );
    }
    this.pump();
  }

  private fail(u: Upload, e: unknown): void {
    u.abort.abort();
    u.flying.clear();
    if (u.id) this.abort(u.id);
    this.set(u, { at: 'failed', message: explain(e) });
    this.release(u);
  }

  private forgetBooking(): void {
    this.epoch++;
    this.booked = 0;
    this.wished = 0;
    this.booking = false;
    for (const u of this.uploads) u.holds = false;
  }

  private rebooked(by: number): void {
    this.booked = Math.max(0, this.booked + by);
    this.pump();
  }

  /** Starts what can start. */
  private pump(): void {
    this.o.changed();
    if (!this.o.link.isOpen) return;
    const waiting = this.uploads.filter((u) => u.state.at === 'queued' || u.state.at === 'interrupted');
    const held = this.uploads.filter((u) => u.holds).length;
    if (waiting.length === 0 && held === 0 && !this.uploads.some((u) => u.state.at === 'starting')) this.unbook();
    const ready = waiting.filter((u) => !u.resting);
    const wanted = Math.min(this.filesAtOnce, ready.filter((u) => u.size > 0).length + held);
    if (wanted > this.wished && !this.booking) void this.book(wanted);
    let free = this.booked - held;
    // Files without bytes need no service, only the manager.
    let empty = this.filesAtOnce - this.uploads.filter((u) => u.size === 0 && u.moving && u.file).length;
    for (const u of ready) {
      if (u.size > 0 ? free-- > 0 : empty-- > 0) {
        u.holds = u.size > 0;
        void this.run(u);
      }
      if (free <= 0 && empty <= 0) break;
    }
  }

  private async book(wanted: number): Promise<void> {
    const { epoch } = this;
    this.booking = true;
    this.wished = wanted;
    try {
      const { data } = await this.o.link.call('c2s:upload-booking-request', { desired_amount: wanted });
      if (epoch !== this.epoch) return;
      // Fewer than wanted: the manager remembers the wish, and tells when there are more.
      this.booked = Number(data['amount'] ?? 0);
    } catch {
      if (epoch !== this.epoch) return;
      this.wished = 0;
      await this.wait(2_000, this.end.signal).catch(() => undefined);
      if (epoch !== this.epoch || this.end.signal.aborted) return;
    }
    this.booking = false;
    this.pump();
  }

  private unbook(): void {
    if (this.booking) return;
    const forget = this.always !== undefined && !this.active; // the manager has to forget the answer for all, too
    if (this.wished === 0 && !forget) return;
    if (forget) this.always = undefined;
    this.booked = 0;
    this.wished = 0;
    this.o.link.call('c2s:upload-booking-clear', {}).catch(() => undefined); // it ends with the connection anyhow
  }

  private async run(u: Upload): Promise<void> {
    const { file } = u;
    if (!file) return;
    u.abort = new AbortController();
    const { signal } = u.abort;
    this.set(u, { at: 'starting' });
    try {
      const target = u.id ? await this.resume(u) : await this.request(u, file);
      if (signal.aborted) {
        if (u.over) this.abort(target.id); // cancelled while the server was asked
        return;
      }
      u.id = target.id;
      this.set(u, { at: 'sending' });
      await sendParts(u, file, target, this.sender, signal);
      if (u.state.at === 'sending') this.set(u, { at: 'finishing' });
    } catch (e) {
      if (!u.over && !signal.aborted) await this.stopped(u, e);
    }
  }

  private async request(u: Upload, file: File) {
    const { data } = await this.o.link.call(
      'c2s:upload-request',
      {
        name: u.name,
        path: u.path,
        size: u.size,
        is_public: u.isPublic,
        conflict: 'ask',
        modified_at: file.lastModified,
        type: file.type,
      },
      25_000,
    );
    return accepted(data);
  }

  private async resume(u: Upload) {
    const { data } = await this.o.link.call('c2s:upload-resume', { upload_id: u.id }, 25_000);
    return accepted(data);
  }

  /** Decides how it goes on after an error. */
  private async stopped(u: Upload, e: unknown): Promise<void> {
    const { signal } = u.abort;
    if (!this.o.link.isOpen) {
      this.interrupt(u);
      this.o.changed();
      return;
    }
    if (e instanceof Refusal && u.id !== '') {
      const known = await this.known(u.id);
      if (u.over || signal.aborted) return;
      if (!known) {
        u.id = ''; // the manager has given it up: begin again
        u.stored = 0;
      }
      this.setBack(u, e.message);
    } else if (e instanceof Refusal && /\bupload services?\b/.test(e.message)) {
      this.interrupt(u); // none is there, or all are busy: a matter of time
      this.rest(u, 2_000 * 2 ** Math.min(u.setbacks, 4));
    } else if (e instanceof PostError ? e.again : e instanceof ApiError && again(e)) {
      this.setBack(u, explain(e));
    } else {
      this.fail(u, e);
    }
  }

  /** Whether the manager still has an upload that can go on; true if it cannot be told. */
  private async known(id: string): Promise<boolean> {
    try {
      const { data } = await this.o.link.call('c2s:uploads-request', {});
      return (data['uploads'] as { upload_id: string }[]).some((p) => p.upload_id === id);
    } catch {
      return true;
    }
  }
}

function accepted(data: Data) {
  if (data['accepted'] !== true) throw new Refusal(String(data['rejection_reason'] ?? 'the server did not take the upload'));
  return {
    id: String(data['upload_id']),
    address: String(data['upload_address'] ?? ''),
    partSize: Number(data['chunk_size']),
    confirmed: (data['confirmed'] ?? []) as Range[],
  };
}

function again(e: ApiError): boolean {
  return e.code === 'unavailable' || e.code === 'offline' || e.code === 'limited' || e.code === 'shutdown';
}
