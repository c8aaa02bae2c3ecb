import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeManager } from './fakes';
import type { Kept, Memory } from './memory';
import { PostError } from './post';
import { UploadQueue, type QueueOptions } from './queue';
import { Upload } from './upload';

let manager: FakeManager;
let queue: UploadQueue;
let waits: number[];

function start(more: Partial<QueueOptions> = {}) {
  manager = new FakeManager();
  waits = [];
  queue = new UploadQueue({
    link: manager,
    post: manager.post,
    changed: () => undefined,
    wait: async (ms, signal) => {
      waits.push(ms);
      await new Promise((resolve) => setTimeout(resolve, 1));
      signal.throwIfAborted();
    },
    ...more,
  });
}

beforeEach(() => start());
afterEach(() => queue.dispose());

const file = (name: string, size: number) => Upload.of(new File([new Uint8Array(size)], name, { lastModified: 7 }), '/', false);
const states = () => queue.uploads.map((u) => `${u.name} ${u.state.at}`);
const soon = { interval: 2, timeout: 2_000 };
const settled = (list: string[]) => vi.waitFor(() => expect(states()).toEqual(list), soon);
const held = (...keys: string[]) => vi.waitFor(() => expect([...manager.posts.keys()].sort()).toEqual(keys.sort()), soon);

describe('the common way', () => {
  test('books, sends every part, gives the booking back', async () => {
    queue.add([file('a', 25), file('b', 5)]);
    await settled(['a done', 'b done']);
    expect([...manager.uploads.values()].map((u) => u.parts.size)).toEqual([3, 1]);
    expect(manager.log[0]).toBe('c2s:upload-booking-request 2');
    await vi.waitFor(() => expect(manager.log.at(-1)).toBe('c2s:upload-booking-clear'));
    expect(queue.active).toBe(false);
  });

  test('sends no more files at once than are booked', async () => {
    manager.quick = false;
    queue.add([file('a', 5), file('b', 5), file('c', 5)]);
    await held('a 0', 'b 0');
    expect(states()).toEqual(['a sending', 'b sending', 'c queued']);
    manager.release('a 0');
    await held('b 0', 'c 0');
    manager.tell('s2c:upload-booking-modify', { effective_change: 1 });
    queue.add([file('d', 5)]);
    await held('b 0', 'c 0', 'd 0');
  });

  test('sends a bounded number of parts at once, of all files together', async () => {
    start({ partsAtOnce: 3, postsAtOnce: 4 });
    manager.quick = false;
    queue.add([file('a', 60), file('b', 60)]);
    await vi.waitFor(() => expect(manager.posts.size).toBe(4));
    while (queue.active) {
      for (const key of [...manager.posts.keys()]) manager.release(key);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(states()).toEqual(['a done', 'b done']);
    expect(manager.most).toBe(4);
    expect(manager.posted).toBe(12);
  });

  test('needs no service for files without bytes', async () => {
    manager.slots = 0;
    queue.add(Array.from({ length: 20 }, (_, i) => file(`e${i}`, 0)));
    await vi.waitFor(() => expect(queue.uploads.every((u) => u.state.at === 'done')).toBe(true));
    expect(manager.posted).toBe(0);
    expect(manager.log.some((l) => l.includes('booking'))).toBe(false);
  });

  test('counts what is sent', async () => {
    manager.quick = false;
    queue.add([file('a', 20)]);
    await held('a 0', 'a 1');
    expect(queue.uploads[0]!.sent).toBe(10); // half of each
    manager.release('a 0');
    await vi.waitFor(() => expect(queue.uploads[0]!.sent).toBe(15));
  });
});

describe('a taken name', () => {
  test('is asked about, and stored as the answer says', async () => {
    manager.taken.add('a');
    queue.add([file('a', 5)]);
    await settled(['a asking']);
    queue.answer(queue.questions[0]!, 'rename', false);
    expect(queue.uploads[0]!.state).toEqual({ at: 'done', name: '1 a' });
  });

  test('skip is no failure', async () => {
    manager.taken.add('a');
    queue.add([file('a', 5)]);
    await settled(['a asking']);
    queue.answer(queue.questions[0]!, 'skip', false);
    expect(states()).toEqual(['a skipped']);
  });

  test('an answer for all holds on a later connection too', async () => {
    for (const name of ['a', 'b', 'c']) manager.taken.add(name);
    manager.slots = 2;
    manager.quick = false;
    queue.add([file('a', 5), file('b', 5), file('c', 15)]);
    await held('a 0', 'b 0');
    manager.release('a 0');
    manager.release('b 0');
    await settled(['a asking', 'b asking', 'c sending']);
    queue.answer(queue.questions[0]!, 'overwrite', true);
    expect(states().slice(0, 2)).toEqual(['a done', 'b done']);
    manager.isOpen = false;
    queue.disconnected();
    await manager.call('x', {}).catch(() => undefined);
    manager.isOpen = true;
    manager.quick = true;
    await manager.call('c2s:upload-booking-clear', {}); // the new connection knows of no answer
    queue.connected();
    await settled(['a done', 'b done', 'c done']);
    expect(manager.log.filter((l) => l === 'c2s:upload-overwrite-response overwrite')).toHaveLength(2);
  });

  test('an answer for all ends with the work it was given for', async () => {
    manager.taken.add('a');
    queue.add([file('a', 5)]);
    await settled(['a asking']);
    queue.answer(queue.questions[0]!, 'skip', true);
    await settled(['a skipped']);
    queue.add([file('a', 5)]);
    await settled(['a skipped', 'a asking']);
  });

  test('a question of an earlier visit is shown, and goes if another page takes it', async () => {
    manager.tell('s2c:upload-overwrite-request', { upload_id: 'old', file_name: 'x', file_path: '/a' });
    expect(states()).toEqual(['x asking']);
    manager.tell('s2c:upload-interrupted', { upload_id: 'old', reason: 'another connection goes on with it' });
    expect(states()).toEqual([]);
  });
});

describe('below a folder that is known by its id', () => {
  const file = (path: string) => Upload.of(new File([new Uint8Array(5)], 'a', { lastModified: 7 }), path, false, undefined, { id: 7, name: 'Summer' });

  test('is asked for from there on', async () => {
    const call = vi.spyOn(manager, 'call');
    queue.add([file('/x')]);
    await settled(['a done']);
    expect(call.mock.calls.find(([id]) => id === 'c2s:upload-request')?.[1]).toMatchObject({ path: '/x', folder_id: 7 });
  });

  test('is told apart from what has the same names from the top on', async () => {
    start({ memory: { all: () => Promise.resolve(new Map<string, Kept>()), keep: () => Promise.resolve(), forget: () => Promise.resolve() } });
    manager.uploads.set('old', { id: 'old', name: 'a', size: 5, parts: new Set(), state: 'running', active: false });
    queue.connected();
    await settled(['a missing']);
    queue.add([file('/')]);
    await settled(['a missing', 'a done']);
  });

  test('has the name of its folder, as far as it is known', () => {
    manager.tell('s2c:upload-overwrite-request', { upload_id: 'old', file_name: 'x', file_path: '/', folder_id: 7 });
    expect([file('/'), file('/x/y'), ...queue.uploads].map((u) => u.place)).toEqual(['Summer', 'y', undefined]);
  });
});

describe('trouble', () => {
  test('a lost connection: goes on from the parts that are confirmed', async () => {
    manager.quick = false;
    queue.add([file('a', 30)]);
    await held('a 0', 'a 1', 'a 2');
    manager.release('a 1');
    await vi.waitFor(() => expect(queue.uploads[0]!.stored).toBe(10));
    manager.isOpen = false;
    queue.disconnected();
    expect(states()).toEqual(['a interrupted']);
    await held();
    manager.isOpen = true;
    queue.connected();
    await held('a 0', 'a 2');
    manager.release('a 0');
    manager.release('a 2');
    await settled(['a done']);
    expect(manager.log).toContain('c2s:upload-resume a');
    expect(manager.posted).toBe(5);
  });

  test('an upload that the manager has finished meanwhile is done', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    await held('a 0');
    manager.isOpen = false;
    queue.disconnected();
    const known = [...manager.uploads.values()][0]!;
    known.parts.add(0);
    known.state = 'done';
    manager.isOpen = true;
    queue.connected();
    await settled(['a done']);
  });

  test('a lost service: resumes on another one', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    await held('a 0');
    manager.loseService('u1');
    expect(states()).toEqual(['a interrupted']);
    manager.tell('s2c:upload-booking-modify', { effective_change: 1 });
    await held('a 0');
    manager.release('a 0');
    await settled(['a done']);
  });

  test('a manager that has forgotten the upload gets it from the start', async () => {
    manager.quick = false;
    queue.add([file('a', 20)]);
    await held('a 0', 'a 1');
    manager.release('a 0');
    await vi.waitFor(() => expect(queue.uploads[0]!.stored).toBe(10));
    manager.isOpen = false;
    queue.disconnected();
    manager.uploads.clear();
    manager.isOpen = true;
    manager.quick = true;
    queue.connected();
    await settled(['a done']);
    expect(manager.log.filter((l) => l === 'c2s:upload-request a')).toHaveLength(2);
  });

  test('a part is sent again, later and later', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    for (let i = 0; i < 3; i++) {
      await held('a 0');
      manager.release('a 0', new PostError('busy', 503, true));
    }
    await held('a 0');
    manager.release('a 0');
    await settled(['a done']);
    expect(waits).toEqual([500, 1000, 2000]);
  });

  test('a service that does not know the upload is not asked for long', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    for (let i = 0; i < 2; i++) {
      await held('a 0');
      manager.release('a 0', new PostError('no such upload', 400, true));
    }
    await held('a 0');
    expect(manager.log).toContain('c2s:upload-resume a');
  });

  test('a file that has changed fails at once, and only by itself', async () => {
    manager.quick = false;
    queue.add([file('a', 5), file('b', 5)]);
    await held('a 0', 'b 0');
    manager.release('a 0', new PostError('the file has changed since the upload began', 409, false));
    manager.release('b 0');
    await settled(['a failed', 'b done']);
    expect(queue.uploads[0]!.state).toEqual({ at: 'failed', message: 'The file has changed since the upload began.' });
    expect([...manager.uploads.values()][0]!.state).toBe('ended');
  });

  test('without any progress it fails in the end', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    await held('a 0');
    for (let i = 0; i < 9; i++) {
      await held('a 0');
      manager.tell('s2c:upload-interrupted', { upload_id: 'u1', reason: 'the disk is full' });
    }
    expect(queue.uploads[0]!.state).toEqual({ at: 'failed', message: 'The disk is full.' });
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
  });

  test('a rejection fails the file with its reason; missing services do not', async () => {
    manager.rejection = 'the name is too long';
    queue.add([file('a', 5)]);
    await settled(['a failed']);
    expect(queue.uploads[0]!.state).toEqual({ at: 'failed', message: 'The name is too long.' });
    queue.clear();
    manager.rejection = 'no upload service is connected';
    manager.rejectionCode = 'unavailable';
    queue.add([file('b', 5)]);
    await vi.waitFor(() => expect(waits).toContain(2_000));
    manager.rejection = '';
    await settled(['b done']);
  });

  test('waits for services when there are none', async () => {
    manager.slots = 0;
    queue.add([file('a', 5)]);
    await vi.waitFor(() => expect(manager.log).toEqual(['c2s:upload-booking-request 1']));
    expect(states()).toEqual(['a queued']);
    manager.tell('s2c:upload-booking-modify', { effective_change: 1 });
    await settled(['a done']);
  });
});

describe('by hand', () => {
  test('cancel stops the posts, tells the manager and makes room', async () => {
    manager.slots = 1;
    manager.quick = false;
    queue.add([file('a', 5), file('b', 5)]);
    await held('a 0');
    queue.cancel(queue.uploads[0]!);
    await held('b 0');
    expect(states()).toEqual(['a cancelled', 'b sending']);
    expect(manager.log).toContain('c2s:upload-abort-request a');
  });

  test('cancel while the manager is asked aborts what it gives', async () => {
    manager.heard = (id) => {
      if (id === 'c2s:upload-request') queue.cancel(queue.uploads[0]!);
    };
    queue.add([file('a', 5)]);
    await vi.waitFor(() => expect(manager.uploads.get('u1')?.state).toBe('ended'));
    expect(manager.posted).toBe(0);
  });

  test('a cancelled file that was finished all the same is shown as done', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    await held('a 0');
    queue.cancel(queue.uploads[0]!);
    manager.tell('s2c:upload-finish-info', { upload_id: 'u1', success: true });
    expect(states()).toEqual(['a done']);
  });

  test('retry begins anew at the end; clear takes what is over away', async () => {
    manager.rejection = 'no';
    queue.add([file('a', 5), file('b', 0)]);
    await settled(['a failed', 'b failed']);
    manager.rejection = '';
    queue.retry(queue.uploads[0]!);
    await settled(['b failed', 'a done']);
    queue.clear();
    expect(states()).toEqual([]);
  });

  test('dispose leaves the manager alone', async () => {
    manager.quick = false;
    queue.add([file('a', 5)]);
    await held('a 0');
    queue.dispose();
    await held();
    expect(manager.log.some((l) => l.includes('abort'))).toBe(false);
  });
});

describe('pausing', () => {
  test('gives the slot to the next file, and goes on from what is stored', async () => {
    manager.slots = 1;
    manager.quick = false;
    queue.add([file('a', 30), file('b', 5)]);
    await held('a 0', 'a 1', 'a 2');
    manager.release('a 1');
    await vi.waitFor(() => expect(queue.uploads[0]!.stored).toBe(10), soon);
    queue.pause(queue.uploads[0]!);
    expect(manager.log).toContain('c2s:upload-pause a');
    await held('b 0');
    expect(states()).toEqual(['a paused', 'b sending']);
    manager.release('b 0');
    await settled(['a paused', 'b done']);
    queue.resume(queue.uploads[0]!);
    await held('a 0', 'a 2');
    manager.release('a 0');
    manager.release('a 2');
    await settled(['a done', 'b done']);
  });

  test('holds while the server is asked, and through a lost connection', async () => {
    manager.heard = (id) => id === 'c2s:upload-request' && queue.pause(queue.uploads[0]!);
    queue.add([file('a', 30)]);
    await vi.waitFor(() => expect(manager.log.at(-1)).toMatch(/pause|clear/), soon);
    await vi.waitFor(() => expect(manager.log).toContain('c2s:upload-pause a'), soon);
    manager.heard = undefined;
    queue.disconnected();
    queue.connected();
    expect(states()).toEqual(['a paused']);
    queue.resumeAll();
    await settled(['a done']);
    expect(manager.uploads.size).toBe(1);
  });

  test('what waits is put before others', async () => {
    manager.slots = 1;
    manager.quick = false;
    queue.add([file('a', 5), file('b', 5), file('c', 5)]);
    await held('a 0');
    queue.move(queue.uploads[2]!, -1);
    queue.move(queue.uploads[1]!, -1); // c is the first that waits
    manager.release('a 0');
    await held('c 0');
    expect(states()).toEqual(['a done', 'c sending', 'b queued']);
  });
});

describe('the hash', () => {
  test('is told before the last part, also of one that goes on', async () => {
    let tell: ((hash: string) => void) | undefined;
    start({ hash: () => new Promise((resolve) => (tell = resolve)) });
    manager.quick = false;
    queue.add([file('a', 25)]);
    await held('a 0', 'a 1');
    manager.release('a 0');
    manager.release('a 1');
    await vi.waitFor(() => expect(queue.uploads[0]!.stored).toBe(20), soon);
    expect(manager.posts.size).toBe(0);
    tell!('ab12');
    await held('a 2');
    expect(manager.hashes.get('a')).toBe('ab12');
    manager.release('a 2');
    await settled(['a done']);
  });

  test('of a file that cannot be read fails its upload', async () => {
    start({ hash: () => Promise.reject(new Error('NotReadableError')) });
    queue.add([file('a', 25)]);
    await settled(['a failed']);
    expect(queue.uploads[0]!.state).toEqual({ at: 'failed', message: 'The file was changed or removed on the disk.' });
  });

  test('that no worker can make is no reason to stop', async () => {
    start({ hash: () => Promise.resolve(undefined) });
    queue.add([file('a', 25)]);
    await settled(['a done']);
    expect(manager.hashes.size).toBe(0);
  });
});

describe('an earlier visit', () => {
  class FakeMemory implements Memory {
    readonly rows = new Map<string, Kept>();
    keep(kept: Kept) {
      this.rows.set(kept.id, kept);
      return Promise.resolve();
    }
    forget(id: string) {
      this.rows.delete(id);
      return Promise.resolve();
    }
    all() {
      return Promise.resolve(new Map(this.rows));
    }
  }

  /** Leaves uploads behind as a page does that is closed, and comes back to the same server. */
  async function comeBack(memory: FakeMemory, handle?: FileSystemFileHandle) {
    start({ memory });
    manager.quick = false;
    const first = manager;
    queue.connected();
    queue.add([file('a', 30)]);
    await held('a 0', 'a 1', 'a 2');
    manager.release('a 1');
    await vi.waitFor(() => expect(memory.rows.size).toBe(1), soon);
    await vi.waitFor(() => expect(queue.uploads[0]!.stored).toBe(10), soon);
    queue.dispose();
    for (const u of first.uploads.values()) u.active = false;
    if (handle) for (const row of memory.rows.values()) row.handle = handle;
    first.quick = true;
    queue = new UploadQueue({ link: first, post: first.post, changed: () => undefined, memory });
    queue.connected();
  }

  test('is listed, and goes on when the same file is picked again', async () => {
    const memory = new FakeMemory();
    await comeBack(memory);
    await settled(['a missing']);
    const [u] = queue.uploads;
    expect([u!.size, u!.stored, queue.active]).toEqual([30, 10, false]);
    expect(queue.provide(u!, new File([new Uint8Array(29)], 'a', { lastModified: 7 }))).toBe(false);
    expect(queue.provide(u!, new File([new Uint8Array(30)], 'a', { lastModified: 8 }))).toBe(false);
    expect(queue.provide(u!, new File([new Uint8Array(30)], 'a', { lastModified: 7 }))).toBe(true);
    await settled(['a done']);
    expect(manager.uploads.size).toBe(1);
    await vi.waitFor(() => expect(memory.rows.size).toBe(0), soon);
  });

  test('goes on too when the file comes as any other does', async () => {
    await comeBack(new FakeMemory());
    await settled(['a missing']);
    queue.add([file('a', 30), file('b', 5)]);
    await settled(['a done', 'b done']);
    expect(manager.uploads.size).toBe(2);
  });

  test('goes on by itself where the browser has a handle, or asks', async () => {
    const bytes = new File([new Uint8Array(30)], 'a', { lastModified: 7 });
    let permission = 'prompt';
    const handle = {
      getFile: () => Promise.resolve(bytes),
      queryPermission: () => Promise.resolve(permission),
      requestPermission: () => Promise.resolve((permission = 'granted')),
    } as unknown as FileSystemFileHandle;
    await comeBack(new FakeMemory(), handle);
    await vi.waitFor(() => expect(queue.uploads[0]?.state).toEqual({ at: 'missing', ask: true }), soon);
    expect(await queue.reopen(queue.uploads[0]!)).toBe(true);
    await settled(['a done']);

    await comeBack(new FakeMemory(), handle);
    await settled(['a done']);
  });

  test('is cancelled like any other, and left alone while another page works on it', async () => {
    const memory = new FakeMemory();
    await comeBack(memory);
    await settled(['a missing']);
    queue.cancel(queue.uploads[0]!);
    expect(manager.log.at(-1)).toBe('c2s:upload-abort-request a');

    await comeBack(memory);
    await settled(['a missing']);
    for (const u of manager.uploads.values()) u.active = true;
    queue.dispose();
    queue = new UploadQueue({ link: manager, post: manager.post, changed: () => undefined, memory });
    queue.connected();
    await vi.waitFor(() => expect(manager.log.filter((l) => l.startsWith('c2s:uploads-request'))).toHaveLength(3), soon);
    await Promise.resolve();
    expect(states()).toEqual([]);
  });
});
