import { afterEach, expect, test, vi } from 'vitest';
import { Door, errandOf, leave } from './door.svelte';

afterEach(() => {
  sessionStorage.clear();
  vi.unstubAllGlobals();
});

test('an address says why somebody has come', () => {
  expect(errandOf('')).toBeUndefined();
  expect(errandOf('#setup=abc')).toBeUndefined();
  expect(errandOf('#invite=')).toBeUndefined();
  expect(errandOf('#invite=abc')).toEqual({ at: 'invite', token: 'abc' });
  expect(errandOf('#reset=abc')).toEqual({ at: 'reset', token: 'abc' });
  expect(errandOf('#address=abc')).toEqual({ at: 'address', token: 'abc' });
});

test('who comes back from another provider has the key that was kept, once', () => {
  const assign = vi.fn();
  vi.stubGlobal('location', { assign, hash: '', pathname: '/' });
  leave({ url: 'https://id.example/auth', key: 'k' }, 'link');
  expect(assign).toHaveBeenCalledWith('https://id.example/auth');
  const back = { at: 'return', state: 's', code: 'c' };
  expect(errandOf('#openid=s&code=c')).toEqual({ ...back, key: 'k', to: 'link' });
  expect(errandOf('#openid=s&code=c')).toEqual({ ...back, key: '', to: 'sign-in' });
  expect(errandOf('#openid=s&refused=1')).toEqual({ ...back, code: '', key: '', to: 'sign-in' });
});

test('the secret leaves the address at once', () => {
  history.replaceState(null, '', '/files#invite=abc');
  const door = new Door();
  expect(door.errand).toEqual({ at: 'invite', token: 'abc' });
  expect(location.hash).toBe('');
  door.close();
  expect(door.errand).toBeUndefined();
});
