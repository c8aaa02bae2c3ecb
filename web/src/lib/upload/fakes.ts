/** A manager and an upload service in memory, for tests of the queue. */
import { ApiError } from '../api/client';
import type { Data } from '../socket/socket';
import type { Link } from './queue';
import { PostError, type Post } from './post';

type Known = { id: string; name: string; size: number; parts: Set<number>; state: 'running' | 'waiting' | 'done' | 'ended'; active: boolean };
type Held = { resolve: () => void; reject: (e: Error) => void };

export class FakeManager implements Link {
  isOpen = true;
  partSize = 10;
  slots = 2;
  /** Names that are in the folder already. */
  taken = new Set<string>();
  /** Why the next uploads are rejected. */
  rejection = '';
  rejectionCode = 'invalid';
  /** Calls in their order, as "id name". */
  readonly log: string[] = [];
  /** Hashes that were told, by name. */
  readonly hashes = new Map<string, string>();
  readonly uploads = new Map<string, Known>();
  /** Posts that have come and are not answered, by "name index". */
  readonly posts = new Map<string, Held>();
  /** Hears of a call before it is answered. */
  heard: ((id: string) => void) | undefined;
  /** Answers posts at once instead of holding them. */
  quick = true;
  posted = 0;
  most = 0;
  private booked = 0;
  private next = 1;
  private all = '';
  private readonly handlers = new Map<string, (data: Data) => void>();

  on(id: string, f: (data: Data) => void): () => void {
    this.handlers.set(id, f);
    return () => this.handlers.delete(id);
  }

  tell(id: string, data: Data = {}): void {
    this.handlers.get(id)?.(data);
  }

  async call(id: string, data: Data): Promise<{ id: string; data: Data }> {
    if (!this.isOpen) throw new ApiError('offline', 'no connection');
    this.log.push(`${id} ${String(data['name'] ?? data['desired_amount'] ?? this.uploads.get(String(data['upload_id']))?.name ?? '')}`.trim());
    this.heard?.(id);
    await Promise.resolve();
    return { id: 'reply', data: this.reply(id, data) };
  }

  send(id: string, data: Data): void {
    this.log.push(`${id} ${String(data['action'])}`);
    const u = this.uploads.get(String(data['upload_id']));
    if (u?.state === 'waiting') this.settle(u, String(data['action']));
    if (data['use_on_all_uploads']) {
      this.all = String(data['action']);
      this.tell('s2c:upload-overwrite-cancel');
      for (const other of this.uploads.values()) if (other.state === 'waiting') this.settle(other, this.all);
    }
  }

  private reply(id: string, data: Data): Data {
    const u = this.uploads.get(String(data['upload_id']));
    switch (id) {
      case 'c2s:upload-booking-request':
        this.booked = Math.min(this.slots, Number(data['desired_amount']));
        return { amount: this.booked };
      case 'c2s:upload-booking-clear':
        this.booked = 0;
        this.all = '';
        return { success: true };
      case 'c2s:upload-request':
        return this.rejection ? this.refused(this.rejection) : this.begin(String(data['name']), Number(data['size']));
      case 'c2s:upload-resume':
        if (!u || u.state === 'ended') return this.refused('there is no such upload');
        queueMicrotask(() => queueMicrotask(() => this.conclude(u)));
        return this.accepted(u);
      case 'c2s:uploads-request':
        return { uploads: [...this.uploads.values()].filter((x) => x.state === 'running' || x.state === 'waiting').map((x) => this.pending(x)) };
      case 'c2s:upload-hash':
        if (u?.state !== 'running') throw new ApiError('not_found', 'no such upload is running');
        this.hashes.set(u.name, String(data['hash']));
        return { success: true };
      case 'c2s:upload-pause':
        if (u) u.active = false;
        return { success: true };
      case 'c2s:upload-abort-request':
        if (u) u.state = 'ended';
        return { success: true };
    }
    throw new ApiError('invalid', id);
  }

  private pending(u: Known): Data {
    const { id, name, size, parts, state, active } = u;
    return { upload_id: id, name, path: '/', size, chunk_size: this.partSize, confirmed: [...parts].map((i) => [i, i]), waiting_for_answer: state === 'waiting', active };
  }

  private refused(why: string): Data {
    return { accepted: false, upload_id: 'none', chunk_size: 1, rejection_reason: why, rejection_code: this.rejectionCode };
  }

  private begin(name: string, size: number): Data {
    const u: Known = { id: `u${this.next++}`, name, size, parts: new Set(), state: 'running', active: true };
    this.uploads.set(u.id, u);
    if (size === 0) setTimeout(() => this.conclude(u));
    return this.accepted(u);
  }

  private accepted(u: Known): Data {
    return { accepted: true, upload_id: u.id, chunk_size: this.partSize, upload_address: 'http://up.test/', confirmed: [...u.parts].map((i) => [i, i]) };
  }

  readonly post: Post = async (_address, part, progress, signal) => {
    const u = this.uploads.get(part.upload)!;
    const key = `${u.name} ${part.index}`;
    this.posted++;
    progress(Math.floor(part.body.size / 2));
    if (!this.quick) {
      await new Promise<void>((resolve, reject) => {
        const held: Held = { resolve, reject };
        this.posts.set(key, held);
        this.most = Math.max(this.most, this.posts.size);
        const abort = () => {
          if (this.posts.get(key) === held) this.posts.delete(key);
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', abort, { once: true });
      });
    }
    u.parts.add(part.index);
    this.conclude(u);
  };

  /** Lets a held post come through, or fail. */
  release(key: string, error?: PostError): void {
    const held = this.posts.get(key);
    if (!held) throw new Error(`no post ${key}, but ${[...this.posts.keys()].join(', ')}`);
    this.posts.delete(key);
    if (error) held.reject(error);
    else held.resolve();
  }

  private conclude(u: Known): void {
    if (u.state === 'done') return this.tell('s2c:upload-finish-info', { upload_id: u.id, success: true });
    if (u.state !== 'running' || u.parts.size < Math.ceil(u.size / this.partSize)) return;
    this.tell('s2c:upload-stage-finish', { upload_id: u.id });
    if (!this.taken.has(u.name)) return this.finish(u);
    u.state = 'waiting';
    if (this.all) this.settle(u, this.all);
    else this.tell('s2c:upload-overwrite-request', { upload_id: u.id, file_name: u.name, file_path: '/' });
  }

  private settle(u: Known, action: string): void {
    if (action !== 'skip') return this.finish(u, action === 'rename' ? `1 ${u.name}` : undefined);
    u.state = 'ended';
    this.tell('s2c:upload-finish-info', { upload_id: u.id, success: false, reason: 'skipped: the name is taken' });
  }

  private finish(u: Known, renamed?: string): void {
    u.state = 'done';
    this.tell('s2c:upload-finish-info', { upload_id: u.id, success: true, ...(renamed && { rename_target: renamed }) });
  }

  /** The service that has an upload goes. */
  loseService(id: string): void {
    this.tell('s2c:upload-booking-modify', { effective_change: -1 });
    this.tell('s2c:upload-interrupted', { upload_id: id, reason: 'the upload service disconnected' });
  }
}
