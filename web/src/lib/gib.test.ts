import { expect, test } from 'vitest';
import { bytesOf, gibOf } from './gib';

test('sizes are typed in GiB', () => {
  expect([bytesOf(''), bytesOf('2'), bytesOf(' 0,5 '), bytesOf('1.25')]).toEqual([0, 2 ** 31, 2 ** 29, 1.25 * 2 ** 30]);
  expect([bytesOf('-1'), bytesOf('much'), bytesOf('Infinity')]).toEqual([undefined, undefined, undefined]);
  expect([gibOf(0), gibOf(2 ** 31), gibOf(2 ** 29)]).toEqual(['', '2', '0.5']);
});
