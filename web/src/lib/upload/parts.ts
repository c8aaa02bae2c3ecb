/** The arithmetic of parts, as the upload endpoint counts them. */

/** A run of consecutive numbers, both ends counted. */
export type Range = readonly [first: number, last: number];

/** Number of parts of a file: none for an empty one. */
export function partCount(size: number, partSize: number): number {
  return Math.ceil(size / partSize);
}

/** First byte and the byte behind the last of a part. */
export function partRange(size: number, partSize: number, part: number): [number, number] {
  return [part * partSize, Math.min(size, (part + 1) * partSize)];
}

/** The parts that are still to be sent, in order. */
export function missingParts(count: number, confirmed: readonly Range[]): number[] {
  const there = new Set<number>();
  for (const [first, last] of confirmed) for (let i = first; i <= last && i < count; i++) there.add(i);
  const missing: number[] = [];
  for (let i = 0; i < count; i++) if (!there.has(i)) missing.push(i);
  return missing;
}
