/**
 * The queue of uploads: as many files at a time as the manager has booked
 * services for us, several parts of each in parallel, resumed after a lost
 * connection from the parts that are confirmed. It knows no page: `changed` is
 * called when something to be shown has changed.
 */
import { ApiError, explain } from '../api/client';
import type { Data } from '../socket/socket';
import { t } from '../words/words.svelte';
import { Lanes } from './lanes';
import { fileOf, type Memory } from './memory';
import { partRange, type Range } from './parts';
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
  /** The hash of a file, for the server to compare; undefined where it cannot be had. Rejects if the file cannot be read. */
  hash?: (file: File, signal: AbortSignal) => Promise<string | undefined>;
  /** What is kept for a later visit; without it unfinished uploads of earlier ones are left alone. */
  memory?: Memory;
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
class Refusal extends Error {
  constructor(
    message: string,
    readonly code = '',
  ) {
    super(message);
  }
}

export class UploadQueue {
  uploads: Upload[] = [];
  private booked = 0;
  private wished = 0;
  private booking = false;
  /** Counts connections, so that answers of an old one are told apart. */
  private epoch = 0;
  private always: Answer | undefined;
  /** Whether uploads of earlier visits have been asked for. */
  private recalled = false;
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
      link.on('s2c:upload-interrupted', (d) => this.find(d, (u) => u.moving && this.setBack(u, String(d['reason'] ?? '')))),
    ];
  }

  /** Ends the queue: what runs is left as it is on the server. */
  dispose(): void {
    for (const off of this.off) off();
    this.end.abort();
    for (const u of this.uploads) u.abort.abort();
  }

  /** Queues uploads; one of a file that an earlier visit has begun to send goes on there. */
  add(uploads: readonly Upload[]): void {
    const fresh = uploads.filter((u) => {
      const begun = this.uploads.find((x) => x.state.at === 'missing' && x.name === u.name && x.base.id === u.base.id && x.path === u.path && x.size === u.size && (x.modified === 0 || x.modified === u.modified));
      if (begun && u.file) this.goOn(begun, u.file);
      return !begun;
    });
    this.uploads = [...this.uploads, ...fresh];
    this.pump();
  }

  /** Goes on with an upload of an earlier visit with the file that was picked for it; false if it is another one. */
  provide(u: Upload, file: File): boolean {
    if (u.state.at !== 'missing' || file.size !== u.size || (u.modified !== 0 && u.modified !== file.lastModified)) return false;
    this.goOn(u, file);
    this.pump();
    return true;
  }

  /** The same with the file that the browser has a handle of: call it in a click. False if it cannot be had. */
  async reopen(u: Upload): Promise<boolean> {
    const handle = await u.source?.();
    const file = handle && (await fileOf(handle, true));
    return file !== undefined && file !== 'ask' && this.provide(u, file);
  }

  /** Stops an upload until resume; its slot is free for others. */
  pause(u: Upload): void {
    if (u.over || u.state.at === 'paused' || !(u.state.at === 'queued' || u.state.at === 'starting' || u.state.at === 'sending' || u.state.at === 'interrupted')) return;
    const held = u.holds && u.state.at === 'sending';
    u.abort.abort();
    u.flying.clear();
    this.set(u, { at: 'paused' });
    if (held) this.giveBack(u.id);
    this.release(u);
  }

  resume(u: Upload): void {
    if (u.state.at !== 'paused') return;
    this.set(u, u.id ? { at: 'interrupted' } : { at: 'queued' });
    this.pump();
  }

  pauseAll(): void {
    for (const u of this.uploads) this.pause(u);
  }

  resumeAll(): void {
    for (const u of this.uploads) this.resume(u);
  }

  /** Moves one that waits before the one that waits in front of it, or (by 1) behind the one after it. */
  move(u: Upload, by: -1 | 1): void {
    const waiting = this.uploads.filter((x) => x.state.at === 'queued' || x === u);
    const other = waiting[waiting.indexOf(u) + by];
    if (u.state.at !== 'queued' || !other) return;
    this.uploads = this.uploads.map((x) => (x === u ? other : x === other ? u : x));
    this.o.changed();
  }

  get questions(): Upload[] {
    return this.uploads.filter((u) => u.state.at === 'asking');
  }

  get active(): boolean {
    return this.uploads.some((u) => !u.over && u.state.at !== 'missing');
  }

  /** The connection is there (again): book, and take up what was interrupted. */
  connected(): void {
    this.forgetBooking();
    for (const u of this.uploads) u.resting = false;
    this.pump();
    void this.recall();
  }

  /** The connection is gone, and with it the booking. */
  disconnected(): void {
    this.forgetBooking();
    this.uploads = this.uploads.filter((u) => u.over || u.file || u.state.at === 'missing'); // the others are asked about again
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
    this.add([Upload.of(u.file, u.path, u.isPublic, u.source, u.base)]);
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
    if (u.over && u.id) void this.o.memory?.forget(u.id);
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

  private giveBack(id: string): void {
    // Without an answer the service gives it up when no part comes.
    this.o.link.call('c2s:upload-pause', { upload_id: id }).catch(() => undefined);
  }

  private goOn(u: Upload, file: File): void {
    u.file = file;
    u.modified = file.lastModified;
    u.hash = '';
    this.set(u, { at: 'interrupted' });
    this.keep(u);
  }

  private keep(u: Upload): void {
    const { memory } = this.o;
    if (!memory || u.size === 0) return;
    const { id, modified } = u;
    void (async () => {
      const handle = await u.source?.();
      await memory.keep({ id, modified, ...(handle && { handle }) });
      if (u.over) await memory.forget(id); // it was quicker
    })();
  }

  /** Lists what earlier visits have left unfinished, and goes on with what can be read without a question. */
  private async recall(): Promise<void> {
    const { memory, link } = this.o;
    if (!memory || this.recalled) return;
    this.recalled = true;
    let pending: Pending[];
    const kept = await memory.all();
    try {
      pending = ((await link.call('c2s:uploads-request', {})).data['uploads'] ?? []) as Pending[];
    } catch {
      this.recalled = false; // the next connection asks again
      return;
    }
    for (const p of pending) {
      if (p.waiting_for_answer || p.active || this.uploads.some((u) => u.id === p.upload_id)) continue;
      const known = kept.get(p.upload_id);
      const handle = known?.handle;
      const u = Upload.unfinished(p.upload_id, p.name, p.path, p.size, storedOf(p), handle && (() => Promise.resolve(handle)), { id: p.folder_id ?? 0 });
      u.modified = known?.modified ?? 0;
      this.uploads = [...this.uploads, u];
      const file = handle && (await fileOf(handle, false));
      if (file === 'ask') this.set(u, { at: 'missing', ask: true });
      else if (file && u.state.at === 'missing') this.provide(u, file);
    }
    this.pump();
  }

  private question(d: Data): void {
    const id = String(d['upload_id']);
    let u = this.uploads.find((x) => x.id === id);
    if (!u) {
      u = Upload.ofEarlier(id, String(d['file_name']), String(d['file_path']), { id: Number(d['folder_id'] ?? 0) });
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
    } else if (/not the file that was sent/.test(reason)) {
      this.set(u, { at: 'failed', message: t('What arrived was not this file, so it was thrown away; nothing on the server has changed. Try again.') });
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
      const target = u.id ? await this.takeUp(u) : await this.request(u, file);
      if (signal.aborted) {
        if (u.over) this.abort(target.id); // cancelled while the server was asked
        if (u.state.at === 'paused') {
          u.id = target.id;
          this.keep(u);
          this.giveBack(u.id);
        }
        return;
      }
      u.id = target.id;
      this.keep(u);
      this.set(u, { at: 'sending' });
      const hash = u.size === 0 || u.hash ? Promise.resolve(u.hash) : this.o.hash?.(file, signal);
      hash?.catch(() => undefined); // it is heard of before the last part
      await sendParts(u, file, target, this.sender, signal, () => this.vouch(u, hash, signal));
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
        ...(u.base.id !== 0 && { folder_id: u.base.id }),
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

  /** Tells the server the hash of what is sent, before the last part. */
  private async vouch(u: Upload, hash: Promise<string | undefined> | undefined, signal: AbortSignal): Promise<void> {
    try {
      u.hash = (await hash) ?? '';
    } catch (e) {
      if (signal.aborted) throw e;
      throw new PostError('the file was changed or removed on the disk', 0, false);
    }
    signal.throwIfAborted();
    if (!u.hash) return;
    try {
      await this.o.link.call('c2s:upload-hash', { upload_id: u.id, hash: u.hash });
    } catch (e) {
      if (e instanceof ApiError && e.code === 'not_found') throw new Refusal(e.message);
      throw e;
    }
  }

  private async takeUp(u: Upload) {
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
    } else if (e instanceof Refusal && e.code === 'unavailable') {
      this.interrupt(u); // no service is there, or all are busy: a matter of time
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

type Pending = { upload_id: string; name: string; path: string; size: number; chunk_size: number; confirmed: Range[]; waiting_for_answer: boolean; active: boolean; folder_id?: number };

function storedOf({ size, chunk_size: partSize, confirmed }: Pending): number {
  let sum = 0;
  for (const [first, last] of confirmed) sum += partRange(size, partSize, last)[1] - partRange(size, partSize, first)[0];
  return sum;
}

function accepted(data: Data) {
  if (data['accepted'] !== true) throw new Refusal(String(data['rejection_reason'] ?? 'the server did not take the upload'), String(data['rejection_code'] ?? ''));
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
