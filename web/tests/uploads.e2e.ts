/** Uploads that are paused, left and taken up again, on the real binary; and how much memory one needs. */
import { open, readFile, stat, truncate, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { png } from './samples';
import { MiB, soon, visit } from './visit';
import { sha256, Visitor } from './visitor';

// With three parts of 9.75 MiB under way one is stored when more than 30 MiB are sent.

const v = visit();
let ada: Visitor;
beforeAll(async () => {
  ada = v.ada;
  await v.setUp();
});

const file = (name: string, size: number) => v.file(name, size);

const progress = (name: string) => ada.upload(name).getByRole('progressbar').evaluate((e: HTMLProgressElement) => e.value);

/** Leaves the page in the middle of an upload, and comes back; the browser's question about that is answered. */
async function leave(): Promise<void> {
  const asked: string[] = [];
  ada.page.once('dialog', (d) => {
    asked.push(d.type());
    void d.accept();
  });
  await ada.page.reload();
  await ada.page.getByText('Connected').waitFor();
  await ada.throttle(0); // not before, or the upload would be done first
  expect(asked).toEqual(['beforeunload']);
}

test('uploads are paused, and go on', async () => {
  await ada.throttle(8 * MiB);
  await ada.pick([await file('first.bin', 30 * MiB), await file('second.bin', MiB)]);
  await ada.page.getByRole('region', { name: 'Uploads' }).getByText(/^[\d.]+ [KM]iB\/s · .+ left$/).waitFor();
  await vi.waitFor(async () => expect(await progress('first.bin')).toBeGreaterThan(12 * MiB), soon);
  await ada.button('Pause first.bin').click();
  await ada.upload('first.bin').getByText(/Paused at [\d.]+ (?:B|MiB) of 30 MiB/).waitFor();
  await ada.upload('second.bin').getByText('1.0 MiB', { exact: true }).waitFor();
  await ada.page.getByRole('button', { name: '1 upload is paused' }).waitFor();
  await ada.throttle(0);
  await ada.button('Go on with first.bin').click();
  await ada.finished('2 uploads').waitFor();
  const down = await ada.download(() => ada.menu('first.bin', 'Download'));
  expect(down.sha256).toBe(await sha256(join(v.disk, 'first.bin')));
  await ada.button('Clear uploads').click();
});

test('six go at once; those that wait are put in another order, and one is tried again', async () => {
  const names = Array.from({ length: 9 }, (_, i) => `part ${i + 1}.bin`);
  const rows = ada.page.getByRole('region', { name: 'Uploads' }).getByRole('listitem');
  await ada.throttle(MiB / 2);
  await ada.pick(await Promise.all(names.map((name) => file(name, 2 * MiB))));
  await vi.waitFor(async () => {
    expect(await rows.filter({ hasText: 'of 2.0 MiB' }).count()).toBe(6);
    expect(await rows.filter({ hasText: 'Waiting · 2.0 MiB' }).count()).toBe(3);
  }, soon);
  const order = async () => (await rows.allTextContents()).map((text) => /part \d/.exec(text)?.[0]).filter(Boolean);
  expect((await order()).slice(6)).toEqual(['part 7', 'part 8', 'part 9']);
  await ada.button('Upload part 9.bin sooner').click();
  await vi.waitFor(async () => expect((await order()).slice(6)).toEqual(['part 7', 'part 9', 'part 8']), soon);
  await ada.button('Pause all').click();
  await ada.page.getByRole('button', { name: '9 uploads are paused' }).waitFor();
  await ada.button('Cancel part 8.bin').click();
  await ada.upload('part 8.bin').getByText('Cancelled').waitFor();
  await ada.throttle(0);
  await ada.button('Resume all').click();
  await ada.upload('part 9.bin').getByText('2.0 MiB', { exact: true }).waitFor();
  await ada.button('Try part 8.bin again').click();
  await ada.finished('9 uploads').waitFor();
  await vi.waitFor(async () => expect((await ada.names()).filter((n) => n.startsWith('part'))).toEqual(names), soon);
  await ada.button('Clear uploads').click();
});

test('after a reload an upload goes on when its file is picked again, and only with that', async () => {
  const path = await file('tape.bin', 38 * MiB);
  await ada.throttle(8 * MiB);
  await ada.pick(path);
  await vi.waitFor(async () => expect(await progress('tape.bin')).toBeGreaterThan(30 * MiB), soon);
  await leave();
  await ada.upload('tape.bin').getByText(/From an earlier visit, .* Choose the file again/).waitFor();
  await ada.page.getByRole('button', { name: '1 upload is unfinished' }).waitFor();
  const choose = async (what: string) => {
    const [chooser] = await Promise.all([ada.page.waitForEvent('filechooser'), ada.button('Choose tape.bin again').click()]);
    await chooser.setFiles(what);
  };
  await choose(await file('other.bin', 3 * MiB));
  await ada.page.getByText('That is not the file that was being uploaded').waitFor();
  expect(await progress('tape.bin')).toBeGreaterThan(9 * MiB); // what is stored is not sent again
  await choose(path);
  await ada.finished('1 upload').waitFor();
  const down = await ada.download(() => ada.menu('tape.bin', 'Download'));
  expect(down.sha256).toBe(await sha256(path));
  await ada.button('Clear uploads').click();
});

test('another file that passes for it is found out by its hash, and what was there stays', async () => {
  const path = await file('tape.bin', 38 * MiB);
  const before = await ada.ask<{ entries: { hash: string }[] }>('/api/search?q=tape.bin');
  const { atime, mtime } = await stat(path);
  await utimes(path, atime, mtime); // whole milliseconds, as pages see them
  await ada.throttle(8 * MiB);
  await ada.pick(path);
  await vi.waitFor(async () => expect(await progress('tape.bin')).toBeGreaterThan(30 * MiB), soon);
  await leave();
  await ada.upload('tape.bin').getByText('From an earlier visit').waitFor();
  await file('tape.bin', 38 * MiB);
  await utimes(path, atime, mtime);
  await ada.pick(path); // as any other upload
  await ada.upload('tape.bin').getByText('What arrived was not this file').waitFor();
  const after = await ada.ask<{ entries: { hash: string }[] }>('/api/search?q=tape.bin');
  expect(after.entries.map((e) => e.hash)).toEqual(before.entries.map((e) => e.hash));
  await ada.button('Clear uploads').click();
});

test('where the browser has a handle of the file, an upload goes on by itself', async () => {
  const path = await file('handle.bin', 0);
  await truncate(path, 38 * MiB); // all zeros, as below
  await ada.throttle(8 * MiB);
  await ada.pick(path);
  await vi.waitFor(async () => expect(await progress('handle.bin')).toBeGreaterThan(30 * MiB), soon);
  await ada.button('Pause handle.bin').click();
  await ada.upload('handle.bin').getByText('Paused').waitFor();
  await ada.throttle(0);
  // As a drop leaves it: here of the browser's own file system, which asks nobody for permission.
  await ada.page.evaluate(async (size) => {
    const top = await navigator.storage.getDirectory();
    const handle = await top.getFileHandle('handle.bin', { create: true });
    const out = await handle.createWritable();
    await out.write(new Uint8Array(size));
    await out.close();
    const { lastModified } = await handle.getFile();
    const base = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('discord-cloud');
      request.onsuccess = () => resolve(request.result);
    });
    const rows = base.transaction('uploads', 'readwrite').objectStore('uploads');
    const [row] = await new Promise<{ id: string }[]>((resolve) => {
      const request = rows.getAll();
      request.onsuccess = () => resolve(request.result as { id: string }[]);
    });
    rows.put({ ...row, modified: lastModified, handle });
    await new Promise((done) => (rows.transaction.oncomplete = done));
    base.close();
  }, 38 * MiB);
  await leave();
  await ada.finished('1 upload').waitFor({ timeout: 20_000 });
  const down = await ada.download(() => ada.menu('handle.bin', 'Download'));
  expect(down.sha256).toBe(await sha256(path));
  await ada.button('Clear uploads').click();
});

test('a picture is pasted', async () => {
  await ada.page.evaluate((base64) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], 'image.png', { type: 'image/png' }));
    document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, png(40, 30).toString('base64'));
  await ada.finished('1 upload').waitFor();
  await vi.waitFor(async () => expect(await ada.names()).toContainEqual(expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/)), soon);
  await ada.button('Clear uploads').click();
});

test('a phone has its camera among the ways to add files', async () => {
  const phone = await Visitor.come(v.browser, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await phone.signIn(v.server.url, 'ada', 'correct horse');
  await phone.button('Add').tap();
  const [chooser] = await Promise.all([phone.page.waitForEvent('filechooser'), phone.page.getByRole('menuitem', { name: 'Take a photo' }).tap()]);
  expect(await chooser.element().getAttribute('capture')).toBe('environment');
  expect(phone.errors).toEqual([]);
  await phone.context.close();
});

/** What the processes of the browser have of memory for themselves, in MiB. */
async function resident(): Promise<number> {
  const devtools = await v.browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo');
  await devtools.detach();
  let sum = 0;
  for (const { id } of processInfo) {
    const rollup = await readFile(`/proc/${id}/smaps_rollup`, 'utf8').catch(() => '');
    sum += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  }
  return sum / 1024;
}

/** What the page has of memory by Chromium's own count: its heap, and what its buffers hold outside of it; in MiB. */
async function held(): Promise<number> {
  const devtools = await ada.context.newCDPSession(ada.page);
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = (await devtools.send('Runtime.getHeapUsage')) as Record<'usedSize', number> & Partial<Record<'embedderHeapUsedSize' | 'backingStorageSize', number>>;
  await devtools.detach();
  return (usedSize + embedderHeapUsedSize + backingStorageSize) / MiB;
}

test('a large file goes up with a few parts of it in memory', { timeout: 300_000 }, async () => {
  const size = Number(process.env['LARGE_MIB'] ?? 256);
  const path = join(v.disk, 'large.bin');
  const handle = await open(path, 'w');
  await handle.close();
  await truncate(path, size * MiB);
  const [before, first] = [await resident(), await held()];
  expect(before).toBeGreaterThan(20); // else nothing is measured
  await ada.pick(path);
  let most = 0;
  let mostHeld = 0;
  let watching = true;
  const watch = (async () => {
    while (watching) {
      most = Math.max(most, await resident());
      mostHeld = Math.max(mostHeld, await held());
    }
  })();
  await ada.finished('1 upload').waitFor({ timeout: 280_000 });
  watching = false;
  await watch;
  console.log(`${size} MiB: ${Math.round(before)} MiB before, ${Math.round(most)} MiB at most; of them the page ${Math.round(first)} and ${Math.round(mostHeld)}`);
  expect(mostHeld - first).toBeLessThan(40); // four parts
  expect(most - before).toBeLessThan(150); // some parts of 10 MB, in all processes, and what browsers grow by
});
