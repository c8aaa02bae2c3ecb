/** Hashes files beside the page. Several at a time take turns, slice by slice. */
import { sha256 } from '@noble/hashes/sha2.js';
import { hashOf, type Digest } from './tree';

export type Ask = { id: number; file: File } | { id: number; stop: true };
export type Told = { id: number; hash: string } | { id: number; error: string };

// Pages of plain http on a local network have no crypto.subtle.
const { subtle } = globalThis.crypto;
const digest: Digest = subtle ? async (bytes) => new Uint8Array(await subtle.digest('SHA-256', bytes)) : (bytes) => sha256(bytes);

const running = new Map<number, AbortController>();

addEventListener('message', ({ data }: MessageEvent<Ask>) => {
  if ('stop' in data) {
    running.get(data.id)?.abort();
    return;
  }
  const { id, file } = data;
  const abort = new AbortController();
  running.set(id, abort);
  hashOf(file, digest, abort.signal)
    .then((hash) => postMessage({ id, hash } satisfies Told))
    .catch((e: unknown) => postMessage({ id, error: String(e) } satisfies Told))
    .finally(() => running.delete(id));
});
