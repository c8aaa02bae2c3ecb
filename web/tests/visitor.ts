/** Somebody with a browser: what people do on the page, by role and name. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Browser, BrowserContext, CDPSession, FileChooser, Locator, Page } from 'playwright-core';
import { chromium } from 'playwright-core';

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export class Visitor {
  /** Errors that the page or the browser has written. */
  readonly errors: string[] = [];
  /** Errors that a test provokes; policy violations never are. */
  expected: RegExp | undefined;

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly devtools: CDPSession,
  ) {
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (e) => this.errors.push(e.stack ?? e.message));
    page.on('console', (m) => {
      if (m.type() !== 'error' && m.type() !== 'warning') return;
      const text = `${m.text()} ${m.location().url}`;
      if (!this.expected?.test(text) || /Content Security Policy|Trusted/.test(text)) this.errors.push(text);
    });
  }

  static async come(browser: Browser, more: Parameters<Browser['newContext']>[0] = {}): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', acceptDownloads: true, ...more });
    const page = await context.newPage();
    return new Visitor(context, page, await context.newCDPSession(page));
  }

  /** Becomes the administrator ada of a new server, by the address that it printed. */
  async setUp(url: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByRole('heading', { name: 'Welcome to discord-cloud' }).waitFor();
    await this.page.getByLabel('Name').fill('ada');
    await this.page.getByLabel('Password', { exact: true }).fill('correct horse');
    await this.page.getByLabel('Password, once more').fill('correct horse');
    await this.button('Create administrator').click();
    await this.page.getByText('Connected').waitFor();
  }

  /** Asks the server as the page would: what it answers to a GET. */
  ask<T>(path: string): Promise<T> {
    return this.page.evaluate(async (path) => {
      const { token } = JSON.parse(localStorage.getItem('discord-cloud-session')!) as { token: string };
      return (await fetch(path, { headers: { Authorization: `Bearer ${token}` } })).json() as Promise<T>;
    }, path);
  }

  async signIn(url: string, name: string, password: string): Promise<void> {
    if (this.page.url() === 'about:blank') await this.page.goto(url);
    await this.page.getByLabel('Name').fill(name);
    await this.page.getByLabel('Password').fill(password);
    await this.button('Sign in').click();
  }

  /** Asks the server by itself, with the visitor's session; gives the answer's JSON. Throws where it is refused. */
  async api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const { status, text } = await this.page.evaluate(
      async ({ method, path, body }) => {
        const { server, token } = JSON.parse(localStorage.getItem('discord-cloud-session')!) as { server: string; token: string };
        const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
        const r = await fetch(server + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
        return { status: r.status, text: await r.text() };
      },
      { method, path, body },
    );
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** Renames an entry in its row. */
  async rename(row: string, name: string): Promise<void> {
    await this.menu(row, 'Rename');
    await this.page.getByRole('textbox', { name: `New name of ${row}` }).fill(name);
    await this.page.keyboard.press('Enter');
    await this.row(name).waitFor();
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  dialog(name: string | RegExp): Locator {
    return this.page.getByRole('dialog', { name });
  }

  row(name: string): Locator {
    return this.page.getByRole('row').filter({ has: this.page.getByText(name, { exact: true }) });
  }

  cell(row: string, text: string): Locator {
    return this.row(row).getByRole('gridcell', { name: text, exact: true });
  }

  /** Names in the list, in their order. */
  names(): Promise<string[]> {
    return this.page.locator('[role=row][data-id] .text > :is(a, .file)').allTextContents();
  }

  upload(name: string): Locator {
    return this.page.getByRole('region', { name: 'Uploads' }).getByRole('listitem').filter({ hasText: name });
  }

  finished(how: string): Locator {
    return this.page.getByRole('button', { name: `${how} finished` });
  }

  async pick(files: Parameters<FileChooser['setFiles']>[0]): Promise<void> {
    await this.page.keyboard.press('Escape'); // the buttons of a selection stand in the place of these
    const [chooser] = await Promise.all([this.page.waitForEvent('filechooser'), this.button('Upload files').click()]);
    await chooser.setFiles(files);
  }

  /** Drags files and folders of the disk onto the page, or onto a part of it. */
  async drop(paths: string[], between?: () => Promise<void>, on?: Locator): Promise<void> {
    const box = await on?.boundingBox();
    const point = box ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : { x: 500, y: 500 };
    const at = { ...point, data: { items: [], files: paths, dragOperationsMask: 1 } };
    await this.devtools.send('Input.dispatchDragEvent', { type: 'dragEnter', ...at });
    await this.devtools.send('Input.dispatchDragEvent', { type: 'dragOver', ...at });
    await between?.();
    await this.devtools.send('Input.dispatchDragEvent', { type: 'drop', ...at });
  }

  /** Rests a finger on something until the page has seen it, and lifts it. */
  async rest(on: Locator): Promise<void> {
    const box = (await on.boundingBox())!;
    const before = await on.getAttribute('aria-selected');
    await this.devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }] });
    await this.page.waitForFunction(([row, before]) => row?.getAttribute('aria-selected') !== before, [await on.elementHandle(), before] as const);
    await this.devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  }

  /** Moves a finger that lies on something, and lifts it. */
  async swipe(on: Locator, by: { x: number; y: number }): Promise<void> {
    const box = (await on.boundingBox())!;
    const at = (part: number) => [{ x: box.x + box.width / 2 + part * by.x, y: box.y + box.height / 2 + part * by.y }];
    await this.devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(0) });
    for (const part of [0.25, 0.5, 0.75, 1]) await this.devtools.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(part) });
    await this.devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  }

  /** Bounds the line to so many bytes a second upwards; 0 lifts the bound. */
  async throttle(bytes: number): Promise<void> {
    await this.devtools.send('Network.enable');
    await this.devtools.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes || -1 });
  }

  /** SHA-256 of what a click downloads. */
  async download(click: () => Promise<void>): Promise<{ name: string; sha256: string }> {
    const [download] = await Promise.all([this.page.waitForEvent('download'), click()]);
    return { name: download.suggestedFilename(), sha256: await sha256(await download.path()) };
  }

  async menu(row: string, item: string | RegExp): Promise<void> {
    await this.row(row).click({ button: 'right' });
    await this.page.getByRole('menuitem', { name: item }).click();
  }
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
