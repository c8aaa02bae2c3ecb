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

test('a file that is shown is a step of the history; its neighbours take its place', async () => {
  const router = new Router();
  router.go(['a b']);
  const before = history.length;
  router.show(['a b'], 'x&y.png');
  router.showInstead('ü.png');
  expect([location.pathname + location.search, router.view, history.length]).toEqual(['/files/a%20b?view=%C3%BC.png', 'ü.png', before + 1]);
  const names = router.names;
  await new Promise((resolve) => {
    addEventListener('popstate', resolve, { once: true });
    router.closeView();
  });
  expect([router.view, location.search]).toEqual(['', '']);
  expect(router.names).toBe(names); // the list stays as it is
});

test('a shared link to a file closes to its folder', () => {
  history.replaceState(null, '', '/files/c?view=d');
  const router = new Router();
  expect([router.names, router.view]).toEqual([['c'], 'd']);
  router.closeView();
  expect(location.pathname + location.search).toBe('/files/c');
});

test('a search is one step of the history, however long one types', () => {
  const router = new Router();
  router.go(['q']);
  const before = history.length;
  router.search('a');
  router.search('ab c');
  expect([router.query, location.search, history.length]).toEqual(['ab c', '?q=ab%20c', before + 1]);
  router.search('');
  expect([router.query, location.pathname + location.search]).toEqual(['', '/files/q']);
});
