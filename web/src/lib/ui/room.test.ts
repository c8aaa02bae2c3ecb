import { expect, test } from 'vitest';
import type { Space } from '../api/space';
import { roomOf } from './room';

const of = (bytes: [number, number, number], most = { bytes: 0, files: 0 }, files = 3): Space => ({
  files: { files, bytes: bytes[0] },
  trash: { files: 0, bytes: bytes[1] },
  versions: { files: 0, bytes: bytes[2] },
  freed: [],
  quota: { used: { files, bytes: bytes[0] + bytes[1] + bytes[2] }, reserved: { files: 0, bytes: 0 }, most },
});
const shown = (s: Space) => roomOf(s).parts.map((p) => [p.from, p.part]);

test('parts lie side by side, of the bound or of what is there', () => {
  expect(shown(of([50, 25, 0], { bytes: 100, files: 0 }))).toEqual([[0, 0.5], [0.5, 0.25], [0.75, 0]]);
  expect(shown(of([50, 25, 25]))).toEqual([[0, 0.5], [0.5, 0.25], [0.75, 0.25]]);
  expect(shown(of([0, 0, 0]))).toEqual([[0, 0], [0, 0], [0, 0]]);
  // A bound can be set below what is there.
  expect(shown(of([150, 50, 0], { bytes: 100, files: 0 }))).toEqual([[0, 0.75], [0.75, 0.25], [1, 0]]);
});

test('it is full by bytes or by files, and scarce shortly before', () => {
  const states = [of([10, 0, 0]), of([89, 0, 0], { bytes: 100, files: 0 }), of([89, 1, 0], { bytes: 100, files: 0 }), of([89, 1, 10], { bytes: 100, files: 0 })];
  expect(states.map((s) => roomOf(s).state)).toEqual(['free', 'free', 'scarce', 'full']);
  expect(roomOf(of([1, 0, 0], { bytes: 100, files: 3 })).state).toBe('full');
});
