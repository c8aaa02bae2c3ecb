import { expect, test } from 'vitest';
import { filtersOf, narrows, noFilters, paramsOf, wishOf } from './filters';

test('filters stand in the address, and what is wrong there is left out', () => {
  const all = { kind: 'image', size: 'large', changed: 'week', owner: 7 } as const;
  expect(paramsOf('a b', all).toString()).toBe('q=a+b&kind=image&size=large&changed=week&owner=7');
  expect(filtersOf(paramsOf('x', all))).toEqual(all);
  expect(filtersOf(new URLSearchParams('kind=cake&size=&changed=never&owner=-1'))).toEqual(noFilters);
  expect([narrows(noFilters), narrows({ ...noFilters, owner: 1 })]).toEqual([false, true]);
});

test('a wish is what the server understands', () => {
  const now = new Date('2026-05-10T12:00:00Z');
  expect(wishOf('map', noFilters, now)).toEqual({ query: 'map' });
  expect(wishOf('', { ...noFilters, kind: 'folder', owner: 3 }, now)).toEqual({ recent: true, kind: 'folder', owner: 3 });
  expect(wishOf('', { ...noFilters, kind: 'video', size: 'huge', changed: 'day' }, now)).toEqual({
    recent: true, types: ['video/'], minSize: 1 << 30, maxSize: 0, since: new Date('2026-05-09T12:00:00Z'),
  });
});
