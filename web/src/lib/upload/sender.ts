/** Sends the parts of one file, several at a time, each again until it is stored. */
import type { Lanes } from './lanes';
import { missingParts, partCount, partRange, type Range } from './parts';
import { PostError, type Post } from './post';
import type { Upload } from './upload';

export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

export type SenderOptions = {
  post: Post;
  lanes: Lanes;
  changed: () => void;
  partsAtOnce: number;
  tries: number;
  wait: Wait;
};

export type Target = { address: string; partSize: number; confirmed: readonly Range[] };

/** Resolves when every part is stored; rejects with PostError, or with the signal's reason. The last part waits for what has to come before it. */
export async function sendParts(u: Upload, file: File, to: Target, o: SenderOptions, signal: AbortSignal, beforeLast: () => Promise<void>): Promise<void> {
  const parts = missingParts(partCount(u.size, to.partSize), to.confirmed);
  let open = 0;
  for (const i of parts) {
    const [from, end] = partRange(u.size, to.partSize, i);
    open += end - from;
  }
  u.stored = u.size - open;
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = parts[next++]; index !== undefined; index = parts[next++]) {
      if (next === parts.length) await beforeLast();
      await sendPart(u, file, to, index, o, signal);
    }
  };
  await Promise.all(Array.from({ length: Math.min(o.partsAtOnce, parts.length) }, lane));
}

async function sendPart(u: Upload, file: File, to: Target, index: number, o: SenderOptions, signal: AbortSignal): Promise<void> {
  const [from, end] = partRange(u.size, to.partSize, index);
  const body = file.slice(from, end);
  for (let attempt = 1; ; attempt++) {
    const free = await o.lanes.take(signal);
    try {
      await o.post(to.address, { upload: u.id, index, body }, (sent) => progress(u, index, sent, o), signal);
      u.flying.delete(index);
      u.stored += end - from;
      u.setbacks = 0;
      o.changed();
      return;
    } catch (e) {
      u.flying.delete(index);
      o.changed();
      if (signal.aborted) throw e;
      if (e instanceof PostError && e.status === 0 && !(await readable(body))) {
        throw new PostError('the file was changed or removed on the disk', 0, false);
      }
      // A service that does not know the upload has lost it; the manager knows where it goes on.
      const most = e instanceof PostError && e.status === 400 ? 2 : o.tries;
      if (!(e instanceof PostError) || !e.again || attempt >= most) throw e;
    } finally {
      free();
    }
    await o.wait(Math.min(10_000, 250 * 2 ** attempt), signal);
  }
}

function progress(u: Upload, index: number, sent: number, o: SenderOptions): void {
  u.flying.set(index, sent);
  o.changed();
}

/** Whether the bytes can still be read: a browser reports a file that changed like a lost connection. */
async function readable(body: Blob): Promise<boolean> {
  try {
    await body.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
