import { beforeEach, expect, test } from 'vitest';
import { refusal, serve } from './fakes';
import { serverOrigin, Session } from './session.svelte';

const user = { id: 1, name: 'ada', administrator: true };
const status = { version: '1', setup_required: false, setup_needs_code: true, max_name: 255 };
const signed = { token: 'new', expires_at: '', user };
const keep = (token: string) => localStorage.setItem('discord-cloud-session', JSON.stringify({ server: 'http://cloud.test', token }));

beforeEach(() => {
  localStorage.clear();
  history.replaceState(null, '', '/');
});

test('an empty server asks for its first administrator, with the code of the address', async () => {
  history.replaceState(null, '', '/#setup=abc');
  let sent: unknown;
  serve((_, path, body) => {
    if (path === '/api/status') return { body: { ...status, setup_required: true } };
    sent = body;
    return { body: signed };
  });
  const s = new Session();
  await s.start();
  expect(s.stage).toEqual({ at: 'setup', needsCode: true });
  expect(location.hash).toBe('');
  await s.setUp(s.code, 'ada', 'password');
  expect(sent).toEqual({ code: 'abc', username: 'ada', password: 'password' });
  expect(s.stage).toEqual({ at: 'signed-in', user });
  expect(localStorage.getItem('discord-cloud-session')).toContain('new');
});

test('a kept token is used, one that is no good is forgotten', async () => {
  keep('good');
  const tokens: unknown[] = [];
  serve((_m, path, _b, init) => {
    if (path === '/api/status') return { body: status };
    tokens.push((init.headers as Record<string, string>)['Authorization']);
    return tokens.length === 1 ? { body: { user } } : refusal(401, 'unauthenticated');
  });
  const first = new Session();
  await first.start();
  expect(first.stage).toEqual({ at: 'signed-in', user });
  expect(tokens).toEqual(['Bearer good']);
  const second = new Session();
  await second.start();
  expect(second.stage.at).toBe('sign-in');
  expect(localStorage.getItem('discord-cloud-session')).toBeNull();
});

test('a wrong password is thrown, and signs nobody in', async () => {
  serve((_, path) => (path === '/api/status' ? { body: status } : refusal(401, 'unauthenticated', 'wrong name or password')));
  const s = new Session();
  await s.start();
  await expect(s.signIn('ada', 'x')).rejects.toThrow('wrong name or password');
  expect(s.stage).toEqual({ at: 'sign-in', message: '' });
});

test('signing out forgets, also without the server', async () => {
  keep('good');
  let away = false;
  serve((_, path) => (away ? new TypeError('away') : path === '/api/status' ? { body: status } : { body: { user } }));
  const s = new Session();
  await s.start();
  away = true;
  await s.signOut();
  expect(s.stage).toEqual({ at: 'sign-in', message: '' });
  expect(s.client.token).toBe('');
  expect(localStorage.getItem('discord-cloud-session')).toBeNull();
});

test('a changed password goes on under the new token; a wrong one changes nothing', async () => {
  keep('old');
  let answer: () => { status?: number; body?: unknown } = () => refusal(401, 'unauthenticated');
  serve((_, path) => (path === '/api/status' ? { body: status } : path === '/api/me' ? { body: { user } } : answer()));
  const s = new Session();
  await s.start();
  await expect(s.changePassword('wrong', 'new password')).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(s.stage.at).toBe('signed-in');
  answer = () => ({ body: signed });
  const changing = s.changePassword('right', 'new password');
  await s.renewed();
  expect(s.client.token).toBe('new');
  await changing;
});

test('a page from elsewhere asks for the server, and remembers it', async () => {
  serve((_m, path) => (path === '/api/status' ? { status: 404, body: '<html>' } : {}));
  const s = new Session();
  await s.start();
  expect(s.stage).toEqual({ at: 'address', message: '' });
  await s.use('not an address ://');
  expect(s.stage).toMatchObject({ at: 'address', message: /not an address/ });
  await s.use('elsewhere.test');
  expect(s.stage).toMatchObject({ message: 'There is no discord-cloud at this address.' });
  serve(() => ({ body: status }));
  await s.use('https://cloud.example/some/path');
  expect(s.stage.at).toBe('sign-in');
  expect(s.client.server).toBe('https://cloud.example');
  const again = new Session();
  await again.start();
  expect(again.client.server).toBe('https://cloud.example');
  again.leaveServer();
  expect(localStorage.getItem('discord-cloud-server')).toBeNull();
});

test.each([
  ['no connection', () => new TypeError('failed')],
  ['a proxy without its server', () => ({ status: 502, body: '<html>' })],
])('%s is a matter of time', async (_, answer) => {
  serve(answer);
  const s = new Session();
  await s.start();
  expect(s.stage).toEqual({ at: 'unreachable' });
  serve(() => ({ body: status }));
  await s.start();
  expect(s.stage.at).toBe('sign-in');
});

test('what people type for a server', () => {
  expect(serverOrigin(' cloud.example:8443 ')).toBe('http://cloud.example:8443');
  expect(serverOrigin('https://cloud.example/x?y')).toBe('https://cloud.example');
  expect(serverOrigin('ftp://cloud.example')).toBe('');
  expect(serverOrigin('')).toBe('');
});
