import { expect, test, vi } from 'vitest';
import type { Entry } from '../api/types';
import { Visit } from './visit.svelte';

type Answer = { status: number; json?: unknown };

/** Answers by method and path. What is not there is refused. */
function server(answers: Record<string, Answer>) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    const what = `${init.method ?? 'GET'} ${url.replace('http://cloud.test', '')}`;
    asked.push(what);
    const { status, json } = answers[what] ?? { status: 401, json: { error: { code: 'unauthenticated', message: 'no' } } };
    return Promise.resolve(new Response(JSON.stringify(json), { status }));
  });
  return { answers, asked };
}

const file = { id: 7, kind: 'file', name: 'a' } as Entry;
const link = { mode: 'view', owner: 'ada', ends_at: null, uses_left: 3 };
const open: Record<string, Answer> = {
  'POST /api/link': { status: 200, json: { token: 'secret', link, entry: file } },
  'GET /api/link': { status: 200, json: { link: { ...link, uses_left: 2 }, entry: file } },
  'POST /api/tickets': { status: 200, json: { ticket: 'T' } },
};

test('what is looked at and then saved takes one use', async () => {
  const { asked } = server({ ...open });
  const visit = new Visit('http://cloud.test', 'text');
  await visit.open();
  expect(visit.stage).toEqual({ at: 'open', entry: file });
  expect(await visit.content(file)).toBe('http://cloud.test/api/entries/7/content?ticket=T');
  expect(await visit.download(file)).toBe('http://cloud.test/api/entries/7/content?ticket=T&download=1');
  expect(asked.filter((a) => a === 'POST /api/tickets')).toHaveLength(1);
  await vi.waitFor(() => expect(visit.link?.uses_left).toBe(2));
});

test('a password is asked for, and a wrong one is told', async () => {
  const { answers } = server({});
  const visit = new Visit('http://cloud.test', 'text');
  await visit.open();
  expect(visit.stage).toEqual({ at: 'password' });
  await expect(visit.open('wrong')).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(visit.stage).toEqual({ at: 'password' });
  Object.assign(answers, open);
  await visit.open('right');
  expect(visit.stage.at).toBe('open');
});

test('a link that has got a password while it was open asks for it', async () => {
  const { answers } = server({ ...open });
  const visit = new Visit('http://cloud.test', 'text');
  await visit.open();
  for (const a of Object.keys(answers)) delete answers[a];
  await visit.refresh();
  await vi.waitFor(() => expect(visit.stage).toEqual({ at: 'password' }));
});

test('tokens that are refused at once are not asked for without end', async () => {
  const { asked } = server({ 'POST /api/link': open['POST /api/link']! });
  const visit = new Visit('http://cloud.test', 'text');
  await visit.open();
  while (visit.stage.at === 'open') {
    await visit.refresh();
    await vi.waitFor(() => expect(visit.stage.at).not.toBe('opening'));
  }
  expect(visit.stage).toEqual({ at: 'ended' });
  expect(asked.filter((a) => a === 'POST /api/link')).toHaveLength(4);
});

test('a link that is unknown, or used up, has ended', async () => {
  server({ 'POST /api/link': { status: 404, json: { error: { code: 'not_found', message: 'this link does not exist, or it has ended' } } } });
  const visit = new Visit('http://cloud.test', 'text');
  await visit.open();
  expect(visit.stage).toEqual({ at: 'ended' });
});
