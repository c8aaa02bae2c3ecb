import { expect, test, vi } from 'vitest';
import { ApiError, Client, explain, patiently } from './client';
import { children, downloadURL, remove } from './entries';
import type { Entry } from './types';

function answers(status: number, body: unknown, headers: Record<string, string> = {}) {
  const fetch = vi.fn(async (_url: string, _init?: RequestInit) => new Response(body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers }));
  vi.stubGlobal('fetch', fetch);
  return fetch;
}

test('sends the token in a header and JSON in the body', async () => {
  const fetch = answers(200, { ok: 1 });
  const c = new Client('http://cloud.test', 'secret');
  await expect(c.call('/api/x', { method: 'POST', body: { a: 1 } })).resolves.toEqual({ ok: 1 });
  const [url, init] = fetch.mock.calls[0]!;
  expect(url).toBe('http://cloud.test/api/x');
  expect(init).toMatchObject({ method: 'POST', body: '{"a":1}', credentials: 'omit', headers: { Authorization: 'Bearer secret', 'Content-Type': 'application/json' } });
});

test('a refusal is an ApiError with the code, and how long to wait', async () => {
  answers(429, { error: { code: 'limited', message: 'too many', request: '1' } }, { 'Retry-After': '7' });
  const e = await new Client('http://cloud.test').call('/api/x').catch((x: unknown) => x);
  expect(e).toMatchObject({ code: 'limited', status: 429, wait: 7 });
  expect(explain(e)).toBe('Too many tries. Wait 7 seconds and try again.');
});

test('a refused token ends the session, but not an old one, nor where the caller deals with it', async () => {
  answers(401, { error: { code: 'unauthenticated', message: 'sign in' } });
  const c = new Client('http://cloud.test', 'old');
  const out = (c.onSignedOut = vi.fn());
  await c.call('/api/x', { own401: true }).catch(() => undefined);
  const late = c.call('/api/x').catch(() => undefined);
  c.token = 'new';
  await late;
  expect(out).not.toHaveBeenCalled();
  await c.call('/api/x').catch(() => undefined);
  expect(out).toHaveBeenCalledOnce();
});

test('no server, no JSON and no content are told apart', async () => {
  const c = new Client('http://cloud.test');
  answers(502, '<html>');
  await expect(c.call('/api/x')).rejects.toMatchObject({ code: 'internal', status: 502 });
  answers(204, undefined);
  await expect(c.call('/api/x')).resolves.toBeUndefined();
  vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('failed')));
  await expect(c.call('/api/x')).rejects.toMatchObject({ code: 'offline' });
});

test('words for people are sentences', () => {
  expect(explain(new ApiError('exists', 'the name is taken'))).toBe('The name is taken.');
  expect(explain(new ApiError('unavailable', 'the store is away.'))).toBe('The store is away. Try again in a moment.');
  expect(explain(new Error('what?'))).toBe('What?');
});

test('addresses: pages of a listing, downloads of files and folders', async () => {
  const fetch = answers(200, { entries: [], next: '', ticket: 't+1' });
  const c = new Client('http://cloud.test');
  await children(c, 4, { sort: 'size', order: 'desc', after: 'a=b', kind: 'folder' });
  expect(fetch.mock.calls[0]![0]).toBe('http://cloud.test/api/entries/4/children?sort=size&order=desc&limit=200&after=a%3Db&kind=folder');
  expect(await downloadURL(c, { id: 5, kind: 'file' } as Entry)).toBe('http://cloud.test/api/entries/5/content?ticket=t%2B1&download=1');
  expect(await downloadURL(c, { id: 6, kind: 'folder' } as Entry)).toBe('http://cloud.test/api/entries/6/archive?ticket=t%2B1');
});

test('too much at once is a matter of patience, other refusals are not', async () => {
  vi.useFakeTimers();
  const work = vi.fn().mockRejectedValueOnce(new ApiError('limited', '', 429, 2)).mockResolvedValue('done');
  const result = patiently(work);
  await vi.advanceTimersByTimeAsync(1_999);
  expect(work).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  await expect(result).resolves.toBe('done');
  await expect(patiently(() => Promise.reject(new ApiError('limited', '', 429, 60)))).rejects.toMatchObject({ wait: 60 });
  await expect(patiently(() => Promise.reject(new ApiError('denied', '')))).rejects.toMatchObject({ code: 'denied' });
  vi.useRealTimers();
});

test('thousands of entries go in several requests', async () => {
  const fetch = answers(200, {});
  await remove(new Client('http://cloud.test'), Array.from({ length: 2_001 }, (_, i) => i));
  expect(fetch.mock.calls.map(([, init]) => (JSON.parse(String(init!.body)) as { ids: number[] }).ids.length)).toEqual([1_000, 1_000, 1]);
});
