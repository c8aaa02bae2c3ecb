import { expect, test } from 'vitest';
import { formatBytes, formatDuration, formatMoment, formatWhen } from './format';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [10_200, '10 KiB'],
  [1024 * 1024 - 1, '1.0 MiB'],
  [25 * 1024 * 1024, '25 MiB'],
  [3.27 * 1024 ** 3, '3.3 GiB'],
  [2 ** 60, '1024 PiB'],
])('%d bytes are %s', (n, text) => expect(formatBytes(n)).toBe(text));

test.each([
  [0.2, '1 s'],
  [59, '59 s'],
  [61, '1 min'],
  [3600, '1 h'],
  [7500, '2 h 5 min'],
  [Infinity, ''],
])('%d seconds are %s', (n, text) => expect(formatDuration(n)).toBe(text));

test('times are as short as the day allows', () => {
  const now = new Date(2026, 5, 15, 12);
  const at = (y: number, m: number, d: number) => formatWhen(new Date(y, m, d, 9, 5).toISOString(), now);
  expect(at(2026, 5, 15)).toMatch(/9:05/);
  expect(at(2026, 5, 14)).not.toMatch(/9:05|2026/);
  expect(at(2025, 5, 15)).toMatch(/2025/);
  expect(formatWhen('never')).toBe('');
  expect(formatMoment('never')).toBe('');
});
