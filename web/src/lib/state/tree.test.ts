import { expect, test, vi } from 'vitest';
import { Client } from '../api/client';
import type { Entry } from '../api/types';
import { entry, refusal, serve } from './fakes';
import { Tree } from './tree.svelte';

const folder = (id: number, name: string, parent = 0) => entry(id, name, { kind: 'folder', parent });
const shape = (t: Tree) => t.rows.map((r) => `${'>'.repeat(r.level)}${r.name}${r.open ? '-' : ''}`).join(' ');

function start(tree: Record<number, Entry[]>) {
  return serve((_, path) => {
    const found = tree[Number(/entries\/(\d+)/.exec(path)![1])];
    return found ? { body: { entries: found, next: '', files: 0, folders: found.length } } : refusal(503, 'unavailable', 'away');
  });
}

test('is read as far as it is unfolded, and follows changes', async () => {
  const tree = { 0: [folder(1, 'a'), folder(2, 'b')], 1: [folder(3, 'c', 1)], 3: [] } as Record<number, Entry[]>;
  const asked = start(tree);
  const t = new Tree(() => new Client('http://cloud.test'));
  expect(t.top).toBe('loading');
  await t.load();
  expect(t.top).toBe('open');
  expect(shape(t)).toBe('>a >b');
  t.reveal([{ id: 1, name: 'a' }, { id: 3, name: 'c' }]);
  await vi.waitFor(() => expect(shape(t)).toBe('>a- >>c >b'));
  t.unfold(3);
  await vi.waitFor(() => expect(t.rows[1]!.state).toBe('leaf'));
  expect(asked).toHaveLength(3);
  t.apply({ action: 'moved', entry: folder(2, 'bb', 1), path: '/a', old_parent: 0 });
  expect(shape(t)).toBe('>a- >>bb >>c');
  expect(t.rows[1]!.names).toEqual(['a', 'bb']);
  t.apply({ action: 'removed', entry: folder(3, 'c', 1), path: '/a' });
  t.apply({ action: 'added', entry: entry(9, 'file'), path: '/' });
  expect(shape(t)).toBe('>a- >>bb');
  t.fold(1);
  expect(shape(t)).toBe('>a');
});

test('says what could not be read, and reads it when asked again', async () => {
  const tree = { 0: [folder(1, 'a')] } as Record<number, Entry[]>;
  start(tree);
  const t = new Tree(() => new Client('http://cloud.test'));
  await t.load();
  t.unfold(1);
  await vi.waitFor(() => expect(t.rows[0]!.state).toMatchObject({ failed: /Away/ }));
  tree[1] = [folder(2, 'b', 1)];
  t.unfold(1);
  await vi.waitFor(() => expect(shape(t)).toBe('>a- >>b'));
});

test('tells that there are more folders than it shows', async () => {
  serve((_, path) => ({ body: { entries: path.includes('/0/') ? [folder(1, 'a')] : [folder(2, 'b', 1)], next: path.includes('/1/') ? 'more' : '', files: 0, folders: 900 } }));
  const t = new Tree(() => new Client('http://cloud.test'));
  await t.load();
  t.unfold(1);
  await vi.waitFor(() => expect(shape(t)).toBe('>a- >>b >>More folders…'));
  expect(t.rows[2]).toMatchObject({ state: 'rest', names: ['a'] });
});
