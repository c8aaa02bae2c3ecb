import { expect, test } from 'vitest';
import { entry } from './fakes';
import { compareEntries, foldName } from './order';
import { spotOf } from './rows';
import type { Order, Sort } from '../api/types';

const sorted = (list: ReturnType<typeof entry>[], sort: Sort, order: Order) => [...list].sort((a, b) => compareEntries(a, b, sort, order)).map((e) => e.name);

test('names sort by their folded form, folders first', () => {
  const list = ['b', 'B', 'a', 'Zebra', 'äpfel', '_x', '10', '9'].map((n, i) => entry(i, n));
  list.push(entry(99, 'z folder', { kind: 'folder' }));
  expect(sorted(list, 'name', 'asc')).toEqual(['z folder', '10', '9', '_x', 'a', 'B', 'b', 'Zebra', 'äpfel']);
  expect(sorted(list, 'name', 'desc')).toEqual(['z folder', 'äpfel', 'Zebra', 'b', 'B', 'a', '_x', '9', '10']);
});

test('by size and type, folders keep the order of their names', () => {
  const list = [
    entry(1, 'b', { kind: 'folder' }),
    entry(2, 'a', { kind: 'folder' }),
    entry(3, 'small', { size: 1, type: 'z' }),
    entry(4, 'big', { size: 9, type: 'a' }),
  ];
  expect(sorted(list, 'size', 'desc')).toEqual(['a', 'b', 'big', 'small']);
  expect(sorted(list, 'type', 'desc')).toEqual(['a', 'b', 'small', 'big']);
  list[0]!.updated_at = '2026-02-01T00:00:00Z';
  expect(sorted(list, 'updated_at', 'desc')).toEqual(['b', 'a', 'big', 'small']);
});

test('by owner, what nobody owns comes first', () => {
  const owner = (name: string) => ({ owner: { id: 1, name } });
  const list = [entry(1, 'x', owner('zoe')), entry(2, 'y', owner('Ann')), entry(3, 'z'), entry(4, 'f', { kind: 'folder', ...owner('bob') }), entry(5, 'w', owner('ann'))];
  expect(sorted(list, 'owner', 'asc')).toEqual(['f', 'z', 'y', 'w', 'x']);
  expect(sorted(list, 'owner', 'desc')).toEqual(['f', 'x', 'w', 'y', 'z']);
});

test('code points decide, not UTF-16: an emoji is behind U+FFFD', () => {
  expect(sorted([entry(1, '😀'), entry(2, '\uFFFD')], 'name', 'asc')).toEqual(['\uFFFD', '😀']);
});

test('folding is more than lower case', () => {
  expect(foldName('STRASSE')).toBe(foldName('straße'));
  expect(foldName('ΟΔΟΣ')).toBe(foldName('οδος'));
});

test('an entry is put in front of the first one behind it', () => {
  const list = ['a', 'c', 'e'].map((n, i) => entry(i, n));
  for (const [name, at] of [['A', 0], ['b', 1], ['d', 2], ['f', 3]] as const) expect(spotOf(list, entry(9, name), 'name', 'asc')).toEqual({ at, sure: true });
});
