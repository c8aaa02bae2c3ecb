/** The page as an app: how much of it is loaded first, that it can be installed, and what its service worker keeps. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Server } from './server';
import { launch, Visitor } from './visitor';
import { scriptsOf } from './weigh';

const soon = { timeout: 10_000, interval: 50 };

let server: Server;
let browser: Browser;
let ada: Visitor;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
  ada = await Visitor.come(browser);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

afterEach(() => expect(ada.errors).toEqual([]));

test('the first load stays within its budget, and comes compressed', async () => {
  const { script } = JSON.parse(await readFile(join(import.meta.dirname, '../budget.json'), 'utf8')) as { script: Record<'sign in' | 'file list', number> };
  // Without a service worker: it fetches the rest of the shell behind the page's back.
  const v = await Visitor.come(browser, { serviceWorkers: 'block' });
  v.expected = /Service Worker registration blocked/;
  const scripts = scriptsOf(v.page);
  const total = async () => (await scripts()).reduce((n, s) => n + s.size, 0);
  await v.page.goto(server.setupURL, { waitUntil: 'networkidle' });
  const first = await total();
  expect((await scripts()).filter((s) => s.length > 1_000 && s.coding !== 'gzip')).toEqual([]); // smaller ones would not gain
  await v.setUp(server.setupURL);
  await v.page.waitForLoadState('networkidle');
  const list = await total();
  console.log(`compressed script: ${first} bytes to sign in, ${list} to the list of files`);
  expect(first).toBeGreaterThan(10_000); // else nothing was counted
  expect(first).toBeLessThanOrEqual(script['sign in']);
  expect(list).toBeLessThanOrEqual(script['file list']);
  expect(v.errors).toEqual([]);
  await v.context.close();
});

test('the page can be installed', async () => {
  await ada.page.goto(server.url);
  await ada.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await ada.page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  const devtools = await ada.context.newCDPSession(ada.page);
  const { errors, data } = await devtools.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const manifest = JSON.parse(data!) as { icons: { src: string; type: string; sizes: string }[]; start_url: string };
  expect(manifest.start_url).toBe('/files');
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  // A context of its own counts as a private window, in which nothing is installed.
  expect(installabilityErrors.map((e) => e.errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
  const sizes = await ada.page.evaluate(
    (icons) =>
      Promise.all(
        icons.map(async ({ src }) => {
          const image = new Image();
          image.src = src;
          await image.decode();
          return `${image.naturalWidth}x${image.naturalHeight}`;
        }),
      ),
    manifest.icons.filter((i) => i.type === 'image/png'),
  );
  expect(sizes).toEqual(manifest.icons.filter((i) => i.type === 'image/png').map((i) => i.sizes));
});

test('the service worker keeps the shell, and nothing of the server or of anybody', async () => {
  await ada.signIn(server.url, 'ada', 'correct horse');
  await ada.page.getByText('Connected').waitFor();
  await ada.pick([{ name: 'secret.txt', mimeType: 'text/plain', buffer: Buffer.from('nobody keeps this') }]);
  await ada.finished('1 upload').waitFor();
  await ada.row('secret.txt').dblclick();
  await ada.page.getByText('nobody keeps this').waitFor();
  await ada.page.reload(); // now through the worker
  await ada.page.getByText('nobody keeps this').waitFor();
  expect(await ada.page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true);
  const kept = await ada.page.evaluate(async () => {
    const all: [string, string][] = [];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) all.push([new URL(request.url).pathname, await (await cache.match(request))!.text()]);
    }
    return all;
  });
  expect(kept.length).toBeGreaterThan(5);
  expect(kept.map(([path]) => path).filter((path) => path !== '/' && !/^\/assets\/[\w.-]+\.(?:js|css)$/.test(path))).toEqual([]);
  expect(kept.filter(([, text]) => /nobody keeps this|secret\.txt/.test(text))).toEqual([]);
});

test('without a server the page opens all the same, and says so', async () => {
  ada.expected = /ERR_CONNECTION_REFUSED|Failed to load|WebSocket/;
  await server.kill();
  await ada.page.goto(`${server.url}/files`);
  await ada.page.getByText(/cannot be reached/).first().waitFor();
  await server.up();
  await ada.page.getByRole('button', { name: /again|now/i }).first().click();
  await ada.row('secret.txt').waitFor();
  ada.expected = undefined;
});

test('a new build is offered, and taken on a click', async () => {
  // The same worker by another address is another one to the browser, as that of a next build is.
  await ada.page.evaluate(() => {
    const { trustedTypes } = globalThis as unknown as { trustedTypes: { createPolicy(name: string, rules: object): { createScriptURL(url: string): string } } };
    const url = trustedTypes.createPolicy('test', { createScriptURL: (u: string) => u }).createScriptURL('/sw.js?next');
    return navigator.serviceWorker.register(url).then(() => undefined);
  });
  await ada.page.getByText('There is a new version of this page.').waitFor();
  await Promise.all([ada.page.waitForEvent('load'), ada.button('Load it').click()]);
  await ada.row('secret.txt').waitFor();
  await vi.waitFor(async () => expect(await ada.page.evaluate(() => navigator.serviceWorker.controller?.scriptURL)).toMatch(/\?next$/), soon);
});
