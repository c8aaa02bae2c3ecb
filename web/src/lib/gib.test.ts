import { expect, test } from 'vitest';
import { boundsOf, bytesOf, filesOf, gibOf, sayBounds } from './gib';

test('sizes are typed in GiB', () => {
  expect([bytesOf(''), bytesOf('2'), bytesOf(' 0,5 '), bytesOf('1.25')]).toEqual([0, 2 ** 31, 2 ** 29, 1.25 * 2 ** 30]);
  expect([bytesOf('-1'), bytesOf('much'), bytesOf('Infinity')]).toEqual([undefined, undefined, undefined]);
  expect([gibOf(0), gibOf(2 ** 31), gibOf(2 ** 29)]).toEqual(['', '2', '0.5']);
});

test('numbers of files are whole', () => {
  expect([boundsOf('', ''), boundsOf('1', ' 1000 '), boundsOf('0', '0')]).toEqual([{ bytes: 0, files: 0 }, { bytes: 2 ** 30, files: 1000 }, { bytes: 0, files: 0 }]);
  expect([boundsOf('much', '1'), boundsOf('1', '1.5'), boundsOf('1', '-1'), boundsOf('1', 'many'), boundsOf('1', '1e99')]).toEqual(Array(5).fill(undefined));
  expect([filesOf(0), filesOf(1000)]).toEqual(['', '1000']);
  expect([{ bytes: 0, files: 0 }, { bytes: 2 ** 30, files: 0 }, { bytes: 2 ** 30, files: 1000 }].map(sayBounds)).toEqual(['No bound', '1.0 GiB', '1.0 GiB, 1,000 files']);
});
