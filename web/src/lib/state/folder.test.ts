import { beforeEach, expect, test, vi } from 'vitest';
import { Client } from '../api/client';
import type { Entry } from '../api/types';
import { entry, refusal, serve } from './fakes';
import { Folder, type Change } from './folder.svelte';
import { compareEntries } from './order';
import { Selection } from './selection.svelte';

let rows: Entry[];
let gate: Promise<void> | undefined;
const home = entry(5, 'home', { kind: 'folder', parent: 0 });

beforeEach(() => {
  localStorage.clear();
  gate = undefined;
  rows = Array.from({ length: 3 }, (_, i) => entry(10 + i, `f${i}`, { parent: 5 }));
});

/** A server with one folder, /home. */
function start() {
  return serve(async (_, path) => {
    const url = new URL(path, 'http://x');
    if (url.pathname === '/api/lookup') {
      return url.searchParams.get('path') === '/home' ? { body: { entry: home, path: [{ id: 5, name: 'home' }] } } : refusal(404, 'not_found');
    }
    const q = url.searchParams;
    const all = [...rows].sort((a, b) => compareEntries(a, b, q.get('sort') as 'name', q.get('order') as 'asc'));
    const from = Number(q.get('offset') ?? 0);
    const to = from + Number(q.get('limit'));
    const body = { entries: all.slice(from, to), next: to < all.length ? String(to) : '', files: all.length, folders: 0 };
    await gate;
    return { body };
  });
}

const names = (f: Folder) => f.entries.map((e) => e.name).join(' ');
const change = (action: Change['action'], e: Entry, more: Partial<Change> = {}): Change => ({ action, entry: e, path: '/home', ...more });

async function opened() {
  const f = new Folder(new Client('http://cloud.test'));
  await f.open(['home']);
  return f;
}

test('opens a folder, or says that it is missing or that it failed', async () => {
  start();
  const f = await opened();
  expect(f.state).toEqual({ at: 'shown' });
  expect(names(f)).toBe('f0 f1 f2');
  await f.open(['nowhere']);
  expect(f.state).toEqual({ at: 'missing' });
  serve(() => new TypeError('away'));
  await f.open(['home']);
  expect(f.state).toMatchObject({ at: 'failed', message: /cannot be reached/ });
});

test('a later place wins over an earlier one that is slow', async () => {
  start();
  const f = await opened();
  let letGo = () => {};
  gate = new Promise((resolve) => (letGo = resolve));
  const slow = f.open(['home']);
  const fast = f.open(['nowhere']);
  await fast;
  letGo();
  await slow;
  expect(f.state).toEqual({ at: 'missing' });
});

test('takes changes in: added, renamed, moved in and out, removed', async () => {
  start();
  const f = await opened();
  f.apply(change('added', entry(20, 'f15', { parent: 5 })));
  expect(names(f)).toBe('f0 f1 f15 f2');
  f.apply(change('moved', entry(10, 'g0', { parent: 5 }), { old_parent: 5 }));
  expect(names(f)).toBe('f1 f15 f2 g0');
  f.apply(change('moved', entry(30, 'a', { parent: 5 }), { old_parent: 0 }));
  expect(f.files).toBe(5);
  f.apply(change('moved', entry(20, 'f15', { parent: 0 }), { path: '/', old_parent: 5 }));
  f.apply(change('removed', entry(11, 'f1', { parent: 5 })));
  f.apply(change('removed', entry(11, 'f1', { parent: 5 })));
  f.apply(change('added', entry(40, 'elsewhere', { parent: 7 }), { path: '/x' }));
  expect(names(f)).toBe('a f2 g0');
  expect(f.files).toBe(3);
});

test('follows the shown folder where it goes', async () => {
  start();
  const f = await opened();
  expect(f.apply(change('moved', entry(5, 'house', { kind: 'folder', parent: 9 }), { path: '/town', old_parent: 0 }))).toEqual(['town', 'house']);
  expect(f.apply(change('removed', home, { path: '/' }))).toEqual([]);
  expect(f.apply(change('changed', home, { path: '/' }))).toBeUndefined();
});

test('a missing folder is shown when it is made', async () => {
  start();
  const f = new Folder(new Client('http://cloud.test'));
  serve(() => refusal(404, 'not_found'));
  await f.open(['home']);
  start();
  f.apply(change('added', home, { path: '/' }));
  await vi.waitFor(() => expect(f.state).toEqual({ at: 'shown' }));
});

test('a change that overtakes its page is not lost', async () => {
  start();
  const f = await opened();
  let letGo = () => {};
  gate = new Promise((resolve) => (letGo = resolve));
  const asked = start();
  const loading = f.reload();
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  f.apply(change('removed', rows[0]!));
  f.apply(change('added', entry(50, 'new', { parent: 5 })));
  letGo();
  await loading;
  expect(names(f)).toBe('f1 f2 new');
});

test('reads of a long list what is in sight, and knows the places of the rest', async () => {
  rows = Array.from({ length: 2_500 }, (_, i) => entry(100 + i, `f${String(i).padStart(4, '0')}`, { parent: 5 }));
  const asked = start();
  const f = await opened();
  expect([f.entries.length, f.rows.length, f.files, f.complete]).toEqual([200, 2_500, 2_500, false]);

  // In front of what is read, among it, and among what is not.
  f.apply(change('added', entry(9_001, 'aaa', { parent: 5 })));
  f.apply(change('added', entry(9_000, 'zzz', { parent: 5 })));
  expect([f.entries.length, f.rows[0]!.name, f.rows.length, f.files]).toEqual([201, 'aaa', 2_502, 2_502]);
  f.apply(change('removed', entry(2_000, 'f1900', { parent: 5 })));
  f.apply(change('moved', entry(2_100, 'aab', { parent: 5 }), { old_parent: 5 })); // f2000, out of the part that is not read
  expect([f.rows[1]!.name, f.rows.length, f.files]).toEqual(['aab', 2_501, 2_501]);
  rows = [entry(9_001, 'aaa', { parent: 5 }), entry(9_000, 'zzz', { parent: 5 }), ...rows.filter((e) => e.id !== 2_000).map((e) => (e.id === 2_100 ? { ...e, name: 'aab' } : e))];

  asked.length = 0;
  await Promise.all([f.see(900, 930), f.see(1_500, 1_530), f.see(2_400, 2_430)]); // a scroll: only its end counts
  expect(asked).toHaveLength(2);
  expect(f.rows[2_400]!.name).toBe('f2400');
  expect([f.rows[1_500], f.rows.length]).toEqual([undefined, 2_501]);
  await f.see(2_400, 2_430);
  expect(asked).toHaveLength(2);

  await f.fill();
  expect(f.complete).toBe(true);
  expect(f.entries.map((e) => e.name)).toEqual(rows.map((e) => e.name).sort());
});

test('reads anew what is in sight, or all of a list that was there whole', async () => {
  rows = Array.from({ length: 1_500 }, (_, i) => entry(100 + i, `f${String(i).padStart(4, '0')}`, { parent: 5 }));
  const asked = start();
  const f = await opened();
  await f.see(1_000, 1_030);
  asked.length = 0;
  rows = rows.slice(0, 1_200); // nobody told
  await f.reload();
  expect(asked).toHaveLength(2); // the place and a page
  expect([f.rows.length, f.rows[1_000]!.name, f.rows[0]]).toEqual([1_200, 'f1000', undefined]);
  rows = rows.slice(0, 300);
  await f.reload();
  expect(f.rows[0]!.name).toBe('f0000');
  await f.fill();
  await f.reload();
  expect(f.complete).toBe(true);
});

test('sorts, and remembers how', async () => {
  start();
  const f = await opened();
  await f.sortBy('name', 'desc');
  expect(names(f)).toBe('f2 f1 f0');
  const again = new Folder(new Client('http://cloud.test'));
  expect([again.sort, again.order]).toEqual(['name', 'desc']);
});

test('what is shown stays if reading it anew fails', async () => {
  start();
  const f = await opened();
  serve(() => new TypeError('away'));
  await expect(f.sortBy('size', 'desc')).rejects.toMatchObject({ code: 'offline' });
  await expect(f.reload()).rejects.toMatchObject({ code: 'offline' });
  expect([f.state.at, names(f), f.sort, f.order]).toEqual(['shown', 'f0 f1 f2', 'name', 'asc']);
});

test('a selection keeps to the entries when the list changes', () => {
  let list = ['a', 'b', 'c', 'd', 'e'].map((n, i) => entry(i + 1, n));
  const s = new Selection(() => list);
  const chosen = () => s.chosen.map((e) => e.name).join('');
  s.only(2);
  s.extend(4);
  expect(chosen()).toBe('bcd');
  s.extend(1);
  expect(chosen()).toBe('ab');
  s.toggle(5);
  expect(chosen()).toBe('abe');
  list = list.filter((e) => e.name !== 'b');
  s.prune();
  expect(chosen()).toBe('ae');
  expect([...s.ids]).toEqual([1, 5]);
});

test('the keyboard walks, selects and extends', () => {
  const list = ['a', 'b', 'c', 'd'].map((n, i) => entry(i + 1, n));
  const s = new Selection(() => list);
  const chosen = () => s.chosen.map((e) => e.name).join('');
  s.step(1, 'select');
  expect([chosen(), s.index]).toEqual(['a', 0]);
  s.step(1, 'extend');
  s.step(1, 'extend');
  expect(chosen()).toBe('abc');
  s.step(-1, 'extend');
  expect(chosen()).toBe('ab');
  s.step(Infinity, 'walk');
  expect([chosen(), s.index]).toEqual(['ab', 3]);
  s.step(-Infinity, 'select');
  expect(chosen()).toBe('a');
  s.all();
  expect(chosen()).toBe('abcd');
  s.reset();
  s.step(-1, 'select');
  expect(chosen()).toBe('d');
});
