// @vitest-environment node
import { createHash } from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { expect, test } from 'vitest';
import { hashOf, leafSize } from './tree';

const pattern = (n: number) => Uint8Array.from({ length: n }, (_, i) => i % 251);

/** The same by recursion, as RFC 6962 §2.1 defines it. */
function root(leaves: Uint8Array[]): Buffer {
  const sum = (...parts: Uint8Array[]) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest();
  if (leaves.length <= 1) return sum(Uint8Array.of(0), leaves[0] ?? new Uint8Array());
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sum(Uint8Array.of(1), root(leaves.slice(0, k)), root(leaves.slice(k)));
}

test('is the root of the tree over leaves, whatever their number', async () => {
  for (const size of [0, 1, leafSize - 1, leafSize, leafSize + 1, 2 * leafSize, 3 * leafSize + 7, 5 * leafSize, 8 * leafSize]) {
    const bytes = pattern(size);
    const leaves: Uint8Array[] = [];
    for (let i = 0; i < size; i += leafSize) leaves.push(bytes.subarray(i, i + leafSize));
    const want = root(leaves).toString('hex');
    expect(await hashOf(new Blob([bytes]), (b) => sha256(b)), `${size} bytes`).toBe(want);
  }
});

test('stops when it is not wanted any more', async () => {
  await expect(hashOf(new Blob([pattern(10)]), (b) => sha256(b), AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
