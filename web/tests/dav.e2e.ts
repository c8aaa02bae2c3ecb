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
import { launch } from './visitor';

let cloud: Server;
let plain: HTTPServer;
let browser: Browser;
let context: BrowserContext;
let elsewhere: string; // address of plain, without a slash
const pages = new Map<string, string>(); // of plain, by path
const sung: string[] = []; // by what sang
const given = new Set<string>(); // what came from below /dav/, by path

const sing = (name: string) => `new Image().src='${elsewhere}/sing?${name}';fetch('/api/status?sing=${name}').catch(()=>{});`;

interface Song {
  type: string; // as which it is stored
  body: string;
  /** How the browser sings it where nothing keeps it from it; not at all if undefined. */
  sings?: 'opened' | 'embedded';
}

/** What a browser might run, by name. */
function songs(): Record<string, Song> {
  const html = (name: string) => `<!doctype html><body onload="${sing(name)}"><script>${sing(name)}</script><img src=x onerror="${sing(name)}">`;
  const sheet = `${cloud.url}/dav/sheet.xsl`;
  const pdf = (name: string) => `%PDF-1.7
1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.launchURL\\("${elsewhere}/sing?${name}"\\);this.submitForm\\("${elsewhere}/sing?${name}"\\))>>>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj
trailer<</Root 1 0 R>>
%%EOF`;
  return {
    'page.html': { type: 'text/html', body: html('page.html'), sings: 'opened' },
    'page.xhtml': {
      type: 'application/xhtml+xml',
      body: `<html xmlns="http://www.w3.org/1999/xhtml"><body><script>${sing('page.xhtml')}</script></body></html>`,
      sings: 'opened',
    },
    'image.svg': { type: 'image/svg+xml', body: `<svg xmlns="http://www.w3.org/2000/svg" onload="${sing('image.svg')}"><script>${sing('image.svg')}</script></svg>`, sings: 'opened' },
    'feed.xml': {
      type: 'text/xml',
      body: `<?xml-stylesheet type="text/xsl" href="${sheet}"?><feed><script xmlns="http://www.w3.org/1999/xhtml">${sing('feed.xml')}</script></feed>`,
    },
    'entry.xml': { type: 'application/xml', body: `<feed><script xmlns="http://www.w3.org/1999/xhtml">${sing('entry.xml')}</script></feed>`, sings: 'opened' },
    'sheet.xsl': {
      type: 'application/xslt+xml',
      body: `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><html><body><script>${sing('sheet.xsl')}</script></body></html></xsl:template></xsl:stylesheet>`,
    },
    'paper.pdf': { type: 'application/pdf', body: pdf('paper.pdf') },
    'code.js': { type: 'text/javascript', body: sing('code.js'), sings: 'embedded' },
    'code.mjs': { type: 'application/ecmascript', body: sing('code.mjs'), sings: 'embedded' },
    'polyglot.gif': { type: 'image/gif', body: `GIF89a=0;${sing('polyglot.gif')}` },
    'notes.txt': { type: 'text/plain', body: sing('notes.txt') },
    'lie.txt': { type: 'text/html; charset=utf-7', body: html('lie.txt') },
    'lie.png': { type: 'image/svg+xml', body: `<svg xmlns="http://www.w3.org/2000/svg" onload="${sing('lie.png')}"/>` },
    'nothing': { type: '', body: html('nothing') },
    'letter.mhtml': { type: 'multipart/related; boundary=x', body: `MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n${html('letter.mhtml')}\r\n--x--` },
  };
}

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

/** A page of another origin that embeds an address in all ways that there are. */
const embedding = (address: string) => `<!doctype html>
  <iframe src="${address}"></iframe><object data="${address}"></object><embed src="${address}"><img src="${address}">
  <link rel=stylesheet href="${address}"><link rel=import href="${address}"><svg><use href="${address}#x"/></svg>
  <script src="${address}"></script><script type=module src="${address}"></script>
  <script>try { new Worker("${address}") } catch {}</script>`;

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
