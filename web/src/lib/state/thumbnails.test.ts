import { beforeEach, expect, test, vi } from 'vitest';
import { Client } from '../api/client';
import { entry } from './fakes';
import { Thumbnails } from './thumbnails';

const released: string[] = [];
let answers: (() => void)[] = [];
let asked: string[] = [];

beforeEach(() => {
  released.length = 0;
  answers = [];
  asked = [];
  let made = 0;
  vi.stubGlobal('URL', Object.assign(class extends URL {}, { createObjectURL: () => `blob:${++made}`, revokeObjectURL: (u: string) => released.push(u) }));
  vi.stubGlobal('fetch', (url: string, { headers, signal }: RequestInit) => {
    asked.push(`${/entries\/(\d+)/.exec(url)![1]} ${(headers as Record<string, string>)['Authorization']}`);
    return new Promise((resolve, reject) => {
      answers.push(() => resolve(new Response('png')));
      signal!.addEventListener('abort', () => reject(signal!.reason as Error));
    });
  });
});

const client = () => new Client('http://cloud.test', 'secret');
const never = () => new AbortController().signal;

test('few at a time, what was wished last comes first, and each is fetched once', async () => {
  const thumbnails = new Thumbnails(client, 2);
  const all = [1, 2, 3, 4].map((id) => thumbnails.get(entry(id, `${id}`), never()));
  const again = thumbnails.get(entry(1, '1'), never());
  expect(asked).toEqual(['1 Bearer secret', '2 Bearer secret']);
  answers[0]!();
  expect(await again).toBe(await all[0]);
  await vi.waitFor(() => expect(asked.length).toBe(3));
  expect(asked[2]).toBe('4 Bearer secret');
  expect(thumbnails.known(entry(1, '1'))).toBe('blob:1');
  expect(thumbnails.known(entry(1, '1', { hash: 'other' }))).toBeUndefined();
});

test('what is out of sight again is not fetched', async () => {
  const thumbnails = new Thumbnails(client, 1);
  const end = new AbortController();
  void thumbnails.get(entry(1, '1'), never());
  const dropped = thumbnails.get(entry(2, '2'), end.signal);
  end.abort();
  await expect(dropped).rejects.toThrow();
  answers[0]!();
  await vi.waitFor(() => expect(thumbnails.known(entry(1, '1'))).toBeDefined());
  expect(asked.length).toBe(1);
});

test('the ones used longest ago are given up, all in the end', async () => {
  const thumbnails = new Thumbnails(client, 3, 2);
  const all = [1, 2, 3].map((id) => thumbnails.get(entry(id, `${id}`), never()));
  answers[0]!();
  await all[0];
  answers[1]!();
  await all[1];
  thumbnails.known(entry(1, '1'));
  answers[2]!();
  await all[2];
  expect(released).toEqual(['blob:2']);
  thumbnails.dispose();
  expect(released).toEqual(['blob:2', 'blob:1', 'blob:3']);
});

test('who wants it again in the moment that it is given up gets it', async () => {
  const thumbnails = new Thumbnails(client, 2);
  const end = new AbortController();
  const dropped = thumbnails.get(entry(1, '1'), end.signal);
  end.abort();
  const again = thumbnails.get(entry(1, '1'), never());
  await expect(dropped).rejects.toThrow();
  answers[1]!();
  expect(await again).toBe('blob:1');
});
