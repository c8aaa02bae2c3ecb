/**
 * What was stored, opened by its address, downloaded, embedded and in the viewer,
 * in the browser of somebody who is signed in: no script in it runs, and none
 * reaches the API. Each of them asks a server of the test's for /sing.
 */
import { once } from 'node:events';
import { createServer, type Server as HTTPServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Server } from './server';
import { embedding, songs, type Song } from './songs';
import { launch, Visitor } from './visitor';

let cloud: Server;
let plain: HTTPServer;
let browser: Browser;
let ada: Visitor;
let all: Record<string, Song>;
let elsewhere: string; // address of plain, without a slash
const pages = new Map<string, string>(); // of plain, by path
const ids = new Map<string, number>(); // of what is stored, by name
const sung: string[] = [];

beforeAll(async () => {
  plain = createServer((q, a) => {
    const url = new URL(q.url ?? '/', 'http://plain');
    if (url.pathname === '/sing') sung.push(url.search.slice(1));
    a.setHeader('Content-Type', 'text/html').end(pages.get(url.pathname) ?? '');
  }).listen(0, '127.0.0.1');
  [cloud, browser] = await Promise.all([Server.start(), launch(), once(plain, 'listening')]);
  elsewhere = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
  ada = await Visitor.come(browser);
  ada.context.on('request', (q) => {
    if (/sing[=?]/.test(q.url())) sung.push(q.url());
  });
  await ada.setUp(cloud.setupURL);
  const html = (name: string) => `<img src=x onerror="new Image().src='${elsewhere}/sing?${name}'"><script>new Image().src='${elsewhere}/sing?${name}'</script><svg onload="new Image().src='${elsewhere}/sing?${name}'">`;
  all = {
    ...songs(elsewhere, `${cloud.url}/sheet.xsl`),
    'notes.md': { type: 'text/markdown', body: `# Notes\n\n${html('notes.md')}\n\n[go](javascript:fetch('/api/status?sing=md')) ![x](${elsewhere}/sing?picture-of-notes.md)\n\n<iframe srcdoc="${html('notes.md').replaceAll('"', '&quot;')}"></iframe>\n` },
    'table.csv': { type: 'text/csv', body: `name,value\n${html('table.csv').replaceAll('"', '')},1\n` },
    'film.vtt': { type: 'text/vtt', body: `WEBVTT\n\n00:00.000 --> 00:09.000\n<c onclick=x>${html('film.vtt')}\n` },
    'names.zip': { type: 'application/zip', body: 'PK\x05\x06' + '\0'.repeat(18) },
  };
  const files = Object.entries(all).map(([name, { type, body }]) => ({ name, mimeType: type, buffer: Buffer.from(body, 'latin1') }));
  await ada.pick(files);
  await ada.finished(`${files.length} uploads`).waitFor({ timeout: 20_000 });
  await ada.button('Clear uploads').click();
  const { entries } = await ada.ask<{ entries: { id: number; name: string }[] }>('/api/entries/0/children');
  for (const { id, name } of entries) ids.set(name, id);
  expect(ids.size).toBe(files.length);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await cloud?.close();
  plain?.close();
});

/** An address of a file that needs nothing besides, as the page has them for pictures. */
const address = (name: string): Promise<string> =>
  ada.page.evaluate(async (entry) => {
    const { token } = JSON.parse(localStorage.getItem('discord-cloud-session')!) as { token: string };
    const answer = await fetch('/api/tickets', { method: 'POST', headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ purpose: 'download', entry }) });
    const { ticket } = (await answer.json()) as { ticket: string };
    return `${location.origin}/api/entries/${entry}/content?ticket=${encodeURIComponent(ticket)}`;
  }, ids.get(name)!);

/** Opens an address in the browser of who is signed in, and waits until all that it brings about has ended; 'saved' or the type as which it is shown. */
async function open(url: string): Promise<string> {
  const page = await ada.context.newPage();
  try {
    const answer = await page.goto(url, { waitUntil: 'networkidle' });
    return answer?.headers()['content-type'] ?? '';
  } catch (e) {
    expect(String(e)).toMatch(/Download is starting|ERR_ABORTED/);
    return 'saved';
  } finally {
    await page.close();
  }
}

/** Does something with all of them, four at a time. */
async function each(work: (name: string) => Promise<void>): Promise<void> {
  const left = [...ids.keys()];
  const next = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await work(name);
  };
  await Promise.all(Array.from({ length: 4 }, next));
}

/** A policy taken apart: the sources of each directive. Two policies in one answer, or a directive twice, are none. */
function directives(policy: string | null): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const part of (policy ?? '').split(';')) {
    const [name = '', ...sources] = part.trim().split(/\s+/);
    expect(all, policy ?? 'no policy').not.toHaveProperty([name]);
    expect(part, policy ?? 'no policy').not.toContain(',');
    all[name] = sources.sort();
  }
  return all;
}

test('the policies of the page, of what it asks and of files are these, with no exception', async () => {
  const { services } = await ada.ask<{ services: { address: string }[] }>('/api/services');
  const { host } = new URL(cloud.url);
  expect(services.length).toBeGreaterThan(0);
  const uploads = services.filter((s) => /^https?:/.test(s.address)).map((s) => new URL(s.address)); // the others are at this host
  const page = {
    'default-src': ["'none'"],
    'script-src': ["'self'"],
    'style-src': ["'self'"],
    'img-src': ["'self'", 'blob:', 'data:'],
    'media-src': ["'self'", 'blob:'],
    'connect-src': [...new Set(["'self'", `ws://${host}`, `wss://${host}`, ...uploads.map((a) => a.origin)])].sort(),
    'font-src': ["'self'"],
    'manifest-src': ["'self'"],
    'form-action': ["'self'"],
    'base-uri': ["'none'"],
    'frame-ancestors': ["'none'"],
    'require-trusted-types-for': ["'script'"],
  };
  const headers = async (path: string) => (await fetch(new URL(path, cloud.url))).headers;
  const script = /\/assets\/[\w.-]+\.js/.exec(await (await fetch(cloud.url)).text())![0];
  for (const path of ['/', '/files', '/files/some/where?view=x', '/by-id/1', '/trash', '/admin/users', '/sw.js', script]) {
    const h = await headers(path);
    expect(directives(h.get('content-security-policy')), path).toEqual(page);
    expect(h.get('content-security-policy-report-only'), path).toBeNull();
    expect(h.get('x-content-type-options'), path).toBe('nosniff');
  }
  for (const path of ['/api/status', '/api/none', '/api/entries/0']) expect(directives((await headers(path)).get('content-security-policy')), path).toEqual({ 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] });
  for (const name of ids.keys()) {
    const at = await address(name);
    for (const more of ['', '&download=1', '&inline=1']) {
      const h = await headers(at + more);
      expect(directives(h.get('content-security-policy')), name).toEqual({ sandbox: [], 'default-src': ["'none'"] });
      expect(h.get('x-content-type-options'), name).toBe('nosniff');
    }
  }
  // What the browser enforces is what was sent: the page has no policy of its own making beside it.
  expect(await ada.page.locator('meta[http-equiv]').count()).toBe(0);
});

test('what runs is heard', async () => {
  pages.set('/loud', all['page.html']!.body);
  await open(`${elsewhere}/loud`);
  expect(sung).toContain('page.html');
});

test('opened by its address nothing sings, whatever is asked for besides', { timeout: 60_000 }, async () => {
  sung.length = 0;
  const shown = new Set<string>();
  await each(async (name) => {
    for (const more of ['', '&inline=1&type=text/html&response-content-type=text/html']) shown.add(await open((await address(name)) + more));
    expect(await open(`${await address(name)}&download=1`), name).toBe('saved');
  });
  // What is shown in place is of a kind that cannot run.
  expect([...shown].filter((type) => type !== 'saved' && !/^(?:text\/plain|image\/(?:gif|png)|text\/vtt|text\/csv)\b/.test(type))).toEqual([]);
  expect(sung).toEqual([]);
});

test('embedded into a page of another site nothing sings', { timeout: 60_000 }, async () => {
  sung.length = 0;
  await each(async (name) => {
    pages.set(`/with/${name}`, embedding(await address(name)));
    await open(`${elsewhere}/with/${name}`);
  });
  expect(sung).toEqual([]);
});

test('in the viewer nothing sings', { timeout: 60_000 }, async () => {
  sung.length = 0;
  const complaints: string[] = [];
  await each(async (name) => {
    const page = await ada.context.newPage();
    page.on('pageerror', (e) => complaints.push(`${name}: ${e.message}`));
    page.on('console', (m) => /Content Security Policy|Trusted/i.test(m.text()) && complaints.push(`${name}: ${m.text()}`));
    await page.goto(`${cloud.url}/files?view=${encodeURIComponent(name)}`);
    const viewer = page.getByRole('dialog', { name, exact: true });
    await viewer.getByRole('button', { name: 'Download' }).first().waitFor();
    await viewer.getByText('Loading…').waitFor({ state: 'detached' });
    const text = viewer.getByRole('button', { name: 'Look at it as text' });
    if (await text.isVisible()) await text.click();
    await page.waitForLoadState('networkidle');
    expect(await page.locator('dialog :is(script, iframe, object, embed, link, style, [onerror], [onload], [srcdoc])').count(), name).toBe(0);
    await page.close();
  });
  expect(sung).toEqual([]);
  expect(complaints).toEqual([]); // the policy had nothing to stop: nothing was tried
});
