import { expect, test } from 'vitest';
import { agentName } from '../agent';
import { sharesOf } from './shares';

test('types of one kind are one share, the largest first', () => {
  const shares = sharesOf({ 'image/png': 100, 'video/mp4': 600, 'image/jpeg': 300, 'text/plain': 0 });
  expect(shares.map(({ word, bytes, part }) => [word, bytes, part])).toEqual([['Video', 600, 0.6], ['Image', 400, 0.4]]);
  expect(sharesOf({})).toEqual([]);
});

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox, Linux'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0', 'Edge, Windows'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1', 'Safari, iOS'],
  ['curl/8.5.0', 'curl'],
  ['', ''],
])('%s', (agent, name) => expect(agentName(agent)).toBe(name));
