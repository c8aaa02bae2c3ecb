/**
 * What was stored, opened by its address below /dav/ in a browser that knows the
 * app password: no script in it runs, and none reaches the API, however it is
 * opened. Each of them has a script that asks a server of the test's for /sing.
 */
import { once } from 'node:events';
import { createServer, type Server as HTTPServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Server } from './server';
import { embedding, songs as songsOf } from './songs';
import { launch } from './visitor';

let cloud: Server;
let plain: HTTPServer;
let browser: Browser;
let context: BrowserContext;
let elsewhere: string; // address of plain, without a slash
const pages = new Map<string, string>(); // of plain, by path
const sung: string[] = []; // by what sang
const given = new Set<string>(); // what came from below /dav/, by path

const songs = () => songsOf(elsewhere, `${cloud.url}/dav/sheet.xsl`);

beforeAll(async () => {
  plain = createServer((q, a) => {
    const url = new URL(q.url ?? '/', 'http://plain');
    if (url.pathname === '/sing') sung.push(url.search.slice(1));
    const song = songs()[url.pathname.slice('/plain/'.length)];
    if (song) a.setHeader('Content-Type', song.type || 'text/html').end(song.body);
    else a.setHeader('Content-Type', 'text/html').end(pages.get(url.pathname) ?? '');
  }).listen(0, '127.0.0.1');
  [cloud, browser] = await Promise.all([Server.start(), launch(), once(plain, 'listening')]);
  elsewhere = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
  const api = async (path: string, body: unknown, token = ''): Promise<Record<string, string>> => {
    const answer = await fetch(cloud.url + path, { method: 'POST', headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) }, body: JSON.stringify(body) });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as Record<string, string>;
  };
  const { token } = await api('/api/setup', { username: 'ada', password: 'correct horse' });
  const { password } = await api('/api/app-passwords', {}, token);
  const authorization = 'Basic ' + btoa(`ada:${password}`);
  for (const [name, song] of Object.entries(songs())) {
    const headers = { Authorization: authorization, ...(song.type && { 'Content-Type': song.type }) };
    expect((await fetch(`${cloud.url}/dav/${name}`, { method: 'PUT', headers, body: new TextEncoder().encode(song.body) })).status, name).toBe(201);
  }
  context = await browser.newContext({ acceptDownloads: true, httpCredentials: { username: 'ada', password: password!, send: 'always' } });
  context.on('request', (q) => {
    if (q.url().includes('/api/')) sung.push(q.url());
  });
  context.on('response', (a) => {
    if (a.url().startsWith(`${cloud.url}/dav/`) && a.status() === 200) given.add(new URL(a.url()).pathname);
  });
});

afterAll(async () => {
  await browser?.close();
  await cloud?.close();
  plain?.close();
});

/** Opens an address, and waits until all that it brings about has ended. */
async function open(address: string): Promise<void> {
  const page = await context.newPage();
  await page.goto(address, { waitUntil: 'networkidle' });
  await page.close();
}

/** Opens an address that the browser saves instead. */
async function save(address: string): Promise<void> {
  const page = await context.newPage();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.goto(address).then(
      () => expect.fail(`${address} was shown`),
      (e: Error) => expect(e.message).toMatch(/Download is starting|ERR_ABORTED/),
    ),
  ]);
  expect(await download.failure()).toBe(null);
  await page.close();
}

/** Does something with all, five at a time. */
async function each<T>(all: Iterable<T>, work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const next = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
  };
  await Promise.all(Array.from({ length: 5 }, next));
}

test('where nothing keeps them from it, they sing', async () => {
  const able = Object.entries(songs()).filter(([, song]) => song.sings);
  await each(able, async ([name, song]) => {
    pages.set(`/with/${name}`, embedding(`${elsewhere}/plain/${name}`));
    await open(song.sings === 'opened' ? `${elsewhere}/plain/${name}` : `${elsewhere}/with/${name}`);
  });
  for (const [name] of able) expect(sung).toContain(name);
});

test('opened by their address below /dav/ they are saved, and never sing', async () => {
  sung.length = 0;
  const addresses = Object.keys(songs()).flatMap((name) => [`${cloud.url}/dav/${name}`, `${cloud.url}/dav/${name}?inline=1&response-content-type=text/html`]);
  await each(addresses, save);
  expect(sung).toEqual([]);
});

test('embedded into a page of another site they never sing', async () => {
  sung.length = 0;
  await each(Object.keys(songs()), async (name) => {
    pages.set(`/with/${name}`, embedding(`${cloud.url}/dav/${name}`));
    given.delete(`/dav/${name}`);
    await open(`${elsewhere}/with/${name}`);
    expect(given).toContain(`/dav/${name}`); // with the password, that is
  });
  expect(sung).toEqual([]);
});
