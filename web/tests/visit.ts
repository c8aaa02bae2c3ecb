/** What the tests of a file share: a server, a browser, its first visitor, and a folder of files to upload. */
import { randomFillSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { Server } from './server';
import { launch, Visitor } from './visitor';

/** For what happens in a browser a little later. */
export const soon = { timeout: 20_000, interval: 50 };
export const MiB = 1 << 20;

export const password = 'correct horse';

export class Visit {
  server!: Server;
  browser!: Browser;
  /** Who made the server hers. */
  ada!: Visitor;
  /** Where the files are that she uploads. */
  disk!: string;

  /** Writes a file to the disk: a content, or so many random bytes. */
  async file(path: string, content: Buffer | string | number): Promise<string> {
    const full = join(this.disk, path);
    await mkdir(join(full, '..'), { recursive: true });
    await writeFile(full, typeof content === 'number' ? randomFillSync(Buffer.alloc(content)) : content);
    return full;
  }

  /** Makes ada the administrator. */
  async setUp(): Promise<void> {
    await this.ada.setUp(this.server.setupURL);
  }

  /** Another visitor with an account of their own. */
  async guest(name: string, more: Parameters<Browser['newContext']>[0] = {}): Promise<Visitor> {
    await this.ada.api('POST', '/api/users', { username: name, password, administrator: false });
    const guest = await Visitor.come(this.browser, more);
    await guest.signIn(this.server.url, name, password);
    await guest.page.getByRole('grid').or(guest.page.getByRole('heading', { name: 'Your cloud is empty' })).waitFor();
    return guest;
  }

  /** A picture of what a visitor sees, or of a part of that, for docs; where they are wanted. */
  async picture(name: string, v = this.ada, clip?: { x: number; y: number; width: number; height: number }): Promise<void> {
    const to = process.env['SCREENSHOTS'];
    if (!to) return;
    await mkdir(to, { recursive: true });
    await v.page.screenshot({ path: join(to, `${name}.png`), animations: 'disabled', ...(clip && { clip }) });
  }
}

/** Begins a visit for the tests of a file, and ends it after them. Nothing may go wrong in ada's browser unexpected. */
export function visit(environment: Record<string, string> = {}): Visit {
  const v = new Visit();
  beforeAll(async () => {
    v.disk = await mkdtemp(join(tmpdir(), 'discord-cloud-files-'));
    [v.server, v.browser] = await Promise.all([Server.start(environment), launch()]);
    v.ada = await Visitor.come(v.browser);
  });
  afterAll(async () => {
    await v.browser?.close();
    await v.server?.close();
    await rm(v.disk, { recursive: true, force: true });
  });
  afterEach(() => expect(v.ada.errors).toEqual([]));
  return v;
}
