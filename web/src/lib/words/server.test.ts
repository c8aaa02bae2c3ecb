import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ApiError, explain } from '../api/client';
import { serverGerman } from './de.server';
import { said } from './server';
import { speak } from './words.svelte';

afterEach(() => speak('en'));

test('texts of the server are said in the language of the page, with what is in them', async () => {
  expect(said('the name "a" is taken', 'exists')).toBe('the name "a" is taken');
  expect(said('there is no room for it: you may store 2147483648 bytes', 'full')).toBe('there is no room for it: you may store 2.0 GiB');
  await speak('de');
  expect(said('the name "a "b" c.txt" is taken', 'exists')).toBe('Den Namen „a "b" c.txt“ gibt es schon.');
  expect(said('there is a folder named "x" already', 'exists')).toBe('Es gibt schon etwas mit dem Namen „x“ (Ordner).');
  expect(said('there is no room for it: you may store 2147483648 bytes', 'full')).toBe('Dafür ist kein Platz mehr: Du darfst 2,0 GiB speichern.');
  expect(said('folders are 128 levels deep at most', 'invalid')).toBe('Ordner sind höchstens 128 Ebenen tief.');
});

test('what is not known is said by its kind: never in English', async () => {
  await speak('de');
  expect(said('some text of tomorrow', 'denied')).toBe('Das darfst du nicht.');
  expect(explain(new ApiError('not_found', 'not found', 404))).toBe('Das gibt es nicht, oder du darfst es nicht sehen.');
  expect(explain(new ApiError('unavailable', 'no upload service is connected', 503))).toBe('Es ist kein Upload-Dienst verbunden. Versuch es gleich noch einmal.');
});

test('the server still says what is translated', () => {
  const top = resolve(import.meta.dirname, '../../../..');
  const sources = ['manager', 'pkg', 'services'].flatMap((dir) =>
    readdirSync(join(top, dir), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.go') && !name.endsWith('_test.go'))
      .map((name) => readFileSync(join(top, dir, name), 'utf8')),
  );
  const code = sources.join('\n');
  const stale = Object.keys(serverGerman).filter((format) => !code.includes(JSON.stringify(format)));
  expect(stale).toEqual([]);
});

test('each value has a place that it can stand in', () => {
  for (const [format, text] of Object.entries(serverGerman)) {
    const values = format.match(/%[qsdv]/g)?.length ?? 0;
    for (const [, n] of text.matchAll(/\{(\d)\}/g)) expect(Number(n), format).toBeLessThanOrEqual(values);
  }
});
