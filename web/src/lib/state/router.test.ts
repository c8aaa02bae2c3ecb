import { expect, test } from 'vitest';
import { addressOf, placeOf, Router } from './router.svelte';

test('places and addresses are each other', () => {
  for (const names of [[], ['a'], ['a b', 'ü☕'], ['50%', '?x=#y', 'a+b', '..a']]) expect(placeOf(addressOf(names))).toEqual(names);
  expect(addressOf([])).toBe('/files');
  expect(addressOf(['a/b'])).toBe('/files/a%2Fb');
});

test('what is no place is the top', () => {
  for (const path of ['/', '/files', '/files/', '/other', '/files/%zz']) expect(placeOf(path)).toEqual([]);
});

test('going somewhere is one step of the history', async () => {
  const router = new Router();
  const before = history.length;
  router.go(['a']);
  router.go(['a']);
  router.go(['a', 'b']);
  expect(history.length).toBe(before + 2);
  router.go(['c'], true);
  expect(history.length).toBe(before + 2);
  expect(location.pathname).toBe('/files/c');
  await new Promise((resolve) => {
    addEventListener('popstate', resolve, { once: true });
    history.back();
  });
  expect(router.names).toEqual(['a']);
});
