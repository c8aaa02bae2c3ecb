import { expect, test } from 'vitest';
import { agentName } from '../agent';
import { sharesByFolder, sharesOf } from './shares';

test('types of one kind are one share, the largest first', () => {
  const shares = sharesOf({ 'image/png': 100, 'video/mp4': 600, 'image/jpeg': 300, 'text/plain': 0 });
  expect(shares.map(({ word, bytes, part }) => [word, bytes, part])).toEqual([['Video', 600, 0.6], ['Image', 400, 0.4]]);
  const office = sharesOf({
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 8,
    'application/zip': 7,
    'application/x-tar': 7,
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 6,
    'application/pdf': 6,
    'text/x-python': 5,
    'application/octet-stream': 1,
    'text/csv; charset=utf-8': 8,
  });
  expect(office.map(({ word, bytes }) => [word, bytes])).toEqual([['Table', 16], ['Archive', 14], ['Document', 12], ['Code', 5], ['Other', 1]]);
  expect(sharesOf({})).toEqual([]);
});

test('folders are summed up over their types, and hidden ones together', () => {
  const of = (folder: number, name: string, type: string, bytes: number) => ({ folder, name, type, bytes, files: 1 });
  const shares = sharesByFolder([of(0, '', 'a/b', 100), of(7, 'Films', 'video/mp4', 500), of(7, 'Films', 'a/b', 100), of(8, '', 'a/b', 200), of(9, '', 'a/b', 100), of(-1, '', 'a/b', 0)], (id, name) => (id === 0 ? 'top' : name || 'hidden'));
  expect(shares.map(({ word, bytes, part }) => [word, bytes, part])).toEqual([['Films', 600, 0.6], ['hidden', 300, 0.3], ['top', 100, 0.1]]);
});

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox, Linux'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0', 'Edge, Windows'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1', 'Safari, iOS'],
  ['curl/8.5.0', 'curl'],
  ['', ''],
])('%s', (agent, name) => expect(agentName(agent)).toBe(name));
