import { expect, test } from 'vitest';
import { missingParts, partCount, partRange } from './parts';

test('parts cover a file exactly, also one of whole parts', () => {
  for (const [size, parts] of [[0, 0], [1, 1], [9, 1], [10, 1], [11, 2], [20, 2], [21, 3]] as const) {
    expect(partCount(size, 10)).toBe(parts);
    let at = 0;
    for (let i = 0; i < parts; i++) {
      const [from, to] = partRange(size, 10, i);
      expect(from).toBe(at);
      expect(to).toBeGreaterThan(from);
      at = to;
    }
    expect(at).toBe(size);
  }
});

test('missing parts are those outside of the confirmed runs', () => {
  expect(missingParts(5, [])).toEqual([0, 1, 2, 3, 4]);
  expect(missingParts(5, [[0, 1], [3, 3]])).toEqual([2, 4]);
  expect(missingParts(3, [[0, 9]])).toEqual([]);
});
