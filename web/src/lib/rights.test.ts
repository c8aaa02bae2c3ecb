import { expect, test } from 'vitest';
import { lookOf } from './kind';
import { mayArrange, mayDelete, mayPublish } from './rights';
import { entry } from './state/fakes';

const ada = { id: 1, name: 'ada' };

test.each([
  ['my file', entry(1, 'a', { owner: ada, access: 'owned' }), [true, true, true]],
  ["somebody's public file", entry(1, 'a', { owner: ada, access: 'public', can: 'r' }), [false, false, false]],
  ['a file shared to write', entry(1, 'a', { owner: ada, access: 'shared', public: false }), [true, true, false]],
  ["somebody's public folder", entry(1, 'a', { kind: 'folder', owner: ada, access: 'public', can: 'r' }), [true, false, false]],
  ["nobody's file", entry(1, 'a'), [true, true, false]],
])('%s', (_, e, may) => expect([mayArrange(e), mayDelete(e), mayPublish(e)]).toEqual(may));

test('the look of a file goes by its ending, then by its type', () => {
  const look = (name: string, type = '') => lookOf({ kind: 'file', name, type }).tint;
  expect([look('a.JPG'), look('b.tar.zst'), look('x', 'video/mp4'), look('x', 'text/plain'), look('.gitignore'), look('x')]).toEqual(['image', 'archive', 'film', 'text', 'file', 'file']);
  expect(lookOf({ kind: 'folder', name: 'a.jpg', type: '' }).word).toBe('Folder');
});
