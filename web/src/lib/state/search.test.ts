import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Client } from '../api/client';
import { entry, refusal, serve } from './fakes';
import { folderOf, Search } from './search.svelte';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const hit = (id: number, name: string, path = '/') => ({ ...entry(id, name), path });
const search = () => new Search(() => new Client('http://cloud.test'));

test('asks when the typing pauses, for the last text', async () => {
  const asked = serve(() => ({ body: { entries: [hit(1, 'map', '/a/b c')], next: '' } }));
  const s = search();
  s.find({ query: 'm' }, true);
  s.find({ query: 'ma' }, true);
  s.find({ query: 'ma' }, true);
  expect(s.state.at).toBe('searching');
  await vi.runAllTimersAsync();
  expect(asked).toEqual(['GET /api/search?limit=100&q=ma']);
  expect(s.state.at).toBe('shown');
  expect(s.cursor).toBe(0);
  expect(folderOf(s.hits[0]!)).toEqual(['a', 'b c']);
  s.find(undefined);
  expect([s.state.at, s.hits.length, s.cursor]).toEqual(['idle', 0, -1]);
});

test('a late answer to an old question is not shown', async () => {
  let answer: (() => void) | undefined;
  serve((_, path) => (path.includes('q=old') ? new Promise((resolve) => (answer = () => resolve({ body: { entries: [hit(1, 'old')], next: '' } }))) : { body: { entries: [hit(2, 'new')], next: '' } }));
  const s = search();
  s.find({ query: 'old' }, true);
  await vi.advanceTimersByTimeAsync(200);
  s.find({ query: 'new' }, true);
  await vi.advanceTimersByTimeAsync(200);
  answer!();
  await vi.runAllTimersAsync();
  expect(s.hits.map((h) => h.name)).toEqual(['new']);
});

test('the keyboard walks over the results, and the end fetches more', async () => {
  const asked = serve((_, path) => ({ body: path.includes('after=c') ? { entries: [hit(3, 'z')], next: '' } : { entries: [hit(1, 'x'), hit(2, 'y')], next: 'c' } }));
  const s = search();
  s.find({ query: 'q' }, true);
  await vi.runAllTimersAsync();
  s.step(-1);
  expect(s.cursor).toBe(0);
  s.step(1);
  await vi.runAllTimersAsync();
  expect(asked.at(-1)).toBe('GET /api/search?limit=100&q=q&after=c');
  expect(s.hits.map((h) => h.id)).toEqual([1, 2, 3]);
  expect(s.cursor).toBe(1);
});

test('a failure says why, and may be tried again', async () => {
  let broken = true;
  serve(() => (broken ? refusal(503, 'unavailable', 'the database is away') : { body: { entries: [], next: '' } }));
  const s = search();
  s.find({ query: 'q' }, true);
  await vi.runAllTimersAsync();
  expect(s.state).toEqual({ at: 'failed', message: 'The database is away. Try again in a moment.' });
  broken = false;
  s.again();
  await vi.runAllTimersAsync();
  expect([s.state.at, s.cursor]).toEqual(['shown', -1]);
});
