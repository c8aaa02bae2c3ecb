/** The hash of a file as the server has it: a tree over leaves of 256 KiB (RFC 6962 §2.1). */

export const leafSize = 256 << 10;

/** SHA-256. */
export type Digest = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array;

/** Makes the root of the leaves that are added in order, with one sum kept for each level of the tree. */
export class Tree {
  private readonly subtrees: Uint8Array[] = [];
  private leaves = 0;

  constructor(private readonly digest: Digest) {}

  /** Adds the next leaf; only the last one may be shorter than leafSize. */
  async add(leaf: Uint8Array): Promise<void> {
    let sum = await this.digest(joined(0, leaf));
    for (let n = this.leaves; n % 2 === 1; n = Math.floor(n / 2)) sum = await this.node(this.subtrees.pop()!, sum);
    this.subtrees.push(sum);
    this.leaves++;
  }

  async root(): Promise<Uint8Array> {
    const left = [...this.subtrees];
    let root = left.pop() ?? (await this.digest(joined(0)));
    for (let sum = left.pop(); sum; sum = left.pop()) root = await this.node(sum, root);
    return root;
  }

  private async node(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
    return this.digest(joined(1, left, right));
  }
}

/** The first byte tells leaves from nodes. */
function joined(first: 0 | 1, ...rest: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(rest.reduce((n, r) => n + r.length, 1));
  all[0] = first;
  let at = 1;
  for (const r of rest) {
    all.set(r, at);
    at += r.length;
  }
  return all;
}

/** How much of a file is in memory at once while it is hashed. */
const slice = 4 << 20;

/** The hash of a file in hex, read slice by slice. Rejects if it cannot be read, and with the signal's reason. */
export async function hashOf(file: Blob, digest: Digest, signal?: AbortSignal): Promise<string> {
  const tree = new Tree(digest);
  for (let at = 0; at < file.size; at += slice) {
    signal?.throwIfAborted();
    const bytes = new Uint8Array(await file.slice(at, at + slice).arrayBuffer());
    for (let i = 0; i < bytes.length; i += leafSize) await tree.add(bytes.subarray(i, i + leafSize));
  }
  return Array.from(await tree.root(), (b) => b.toString(16).padStart(2, '0')).join('');
}
