import { expect, test } from 'vitest';
import type { Link } from './api/links';
import { localTime, modesFor, sayLink, sayUse, termsOf, wishOf } from './links';

const link: Link = {
  id: 3,
  entry: { id: 7, name: 'album', kind: 'folder' },
  owner: 'ada',
  mode: 'download',
  name: 'For the club',
  url: '/s/x',
  password: true,
  uses: 2,
  most_uses: 5,
  created_at: '2026-03-01T12:00:00Z',
  expires_at: '2099-01-02T03:04:05.678901Z',
  used_at: null,
  ended: false,
};

test('terms that nobody has changed stay as they are', () => {
  expect(wishOf(termsOf(link), link)).toEqual({ mode: 'download', name: 'For the club', most_uses: 5, expires_at: '2099-01-02T03:04:05.678901Z' });
});

test('what stands in the form is wished for', () => {
  const end = new Date(2099, 5, 1, 12, 30);
  const terms = { ...termsOf(undefined), name: ' x ', password: 'secret', until: localTime(end), uses: '3' };
  expect(wishOf(terms, undefined)).toEqual({ mode: 'view', name: 'x', password: 'secret', most_uses: 3, expires_at: end.toISOString() });
  expect(wishOf({ ...terms, until: '', uses: 'many', password: '' }, link)).toEqual({ mode: 'view', name: 'x', most_uses: 0 });
  expect(wishOf({ ...terms, open: true }, link)).toHaveProperty('password', '');
});

test('a link is told in few words', () => {
  expect(sayLink(link, 'For the club')).toBe('Download only · with a password · until Jan 2, 2099 · 2 of 5 uses · never used');
  expect(sayLink({ ...link, expires_at: null, password: false, most_uses: 0, uses: 1 }, 'Download only')).toBe('1 use · never used');
  expect(sayUse({ at: '2020-03-01T12:00:00Z', action: 'refused', entry: 0, name: '', address: '192.0.2.1', agent: 'curl/8' })).toBe('Mar 1, 2020 · Wrong password · 192.0.2.1 · curl');
});

test('files are sent to folders only', () => {
  expect([modesFor('file'), modesFor('folder')].map((all) => all.map((m) => m.mode))).toEqual([['view', 'download'], ['view', 'download', 'upload']]);
});
