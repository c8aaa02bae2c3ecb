/** What the viewer shows besides pictures and text, on the real binary: PDF, zips, facts of a picture, subtitles. */
import { spawnSync } from 'node:child_process';
import { mkdir, open, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { beforeAll, expect, test, vi } from 'vitest';
import { installed } from './programs';
import { pdf, wavHead, withExif, zip } from './samples';
import { soon, visit } from './visit';
import { Visitor } from './visitor';

const v = visit();
let ada: Visitor;
beforeAll(() => void (ada = v.ada));

const viewer = (name: string, v: Visitor = ada) => v.page.getByRole('dialog', { name, exact: true });

function run(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(error?.message ?? stderr);
}

/** Makes a film and a photo with the browser itself. */
async function filmed(): Promise<{ film: Buffer; photo: Buffer }> {
  const page = await v.browser.newPage();
  const [film, photo] = await page.evaluate(async () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [640, 360];
    const pen = canvas.getContext('2d')!;
    const draw = (n: number) => {
      pen.fillStyle = `hsl(${200 + n} 60% 45%)`;
      pen.fillRect(0, 0, 640, 360);
      pen.fillStyle = '#fff';
      pen.fillRect(40 + n * 8, 140, 80, 80);
    };
    draw(0);
    const base64 = async (blob: Blob) => {
      let text = '';
      for (const b of new Uint8Array(await blob.arrayBuffer())) text += String.fromCharCode(b);
      return btoa(text);
    };
    const jpeg = await new Promise<Blob>((done) => canvas.toBlob((b) => done(b!), 'image/jpeg'));
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/webm' });
    const parts: Blob[] = [];
    recorder.ondataavailable = (e) => parts.push(e.data);
    const stopped = new Promise((done) => (recorder.onstop = done));
    recorder.start();
    for (let n = 0; n < 40; n++) {
      draw(n);
      await new Promise(requestAnimationFrame);
    }
    recorder.stop();
    await stopped;
    return [await base64(new Blob(parts)), await base64(jpeg)];
  });
  await page.close();
  return { film: Buffer.from(film!, 'base64'), photo: Buffer.from(photo!, 'base64') };
}

test('a visit with files to look at', async () => {
  const { film, photo } = await filmed();
  const samples: Record<string, Buffer | string> = {
    'paper.pdf': pdf(Array.from({ length: 30 }, (_, i) => `Page number ${i + 1}`)),
    'sealed.pdf': pdf(['Behind a password'], { password: 'sesame' }),
    'torn.pdf': Buffer.alloc(3_000, 66),
    'sources.zip': zip({ 'src/': '', 'src/main.go': 'package main', 'src/<b>bold</b>.txt': 'x', '../../etc/passwd': 'y', 'größe ☕.txt': 'z'.repeat(2_000) }),
    'torn.zip': Buffer.alloc(3_000, 66),
    'photo.jpg': withExif(photo, 'Field Camera 3000', '2026:03:01 12:00:00'),
    'film.webm': film,
    'film.de.srt': '1\n00:00:00,000 --> 00:00:20,000\nGuten Tag\n',
    'film.vtt': 'WEBVTT\n\n00:00.000 --> 00:20.000\nGood day\n',
    'letter.docx': Buffer.alloc(40, 3),
    'unknown.xyz': '\0\x01 plain words all the same',
  };
  await mkdir(join(v.disk, 'Look'));
  for (const [name, content] of Object.entries(samples)) await writeFile(join(v.disk, 'Look', name), content);
  await v.setUp();
  await ada.drop([join(v.disk, 'Look')]);
  await ada.finished('11 uploads').waitFor();
  await ada.button('Clear uploads').click();
  await ada.page.getByRole('link', { name: 'Look' }).click();
  await ada.row('paper.pdf').waitFor();
});

test('a PDF is drawn page by page, with words to select, and zoomed', async () => {
  const asked: string[] = [];
  ada.page.on('request', (q) => asked.push(q.url()));
  await ada.row('paper.pdf').dblclick();
  const paper = viewer('paper.pdf');
  const page = (n: number) => paper.getByRole('group', { name: `Page ${n}`, exact: true });
  await page(1).getByText('Page number 1', { exact: true }).waitFor();
  const blue = await page(1).locator('canvas').evaluate(async (c: HTMLCanvasElement) => {
    const pen = c.getContext('2d')!;
    for (let i = 0; i < 100; i++) {
      // The bar of each page, at 72..372 by 620..680 of 595 by 842 points from below.
      const [r, , b] = pen.getImageData((200 / 595) * c.width, (1 - 650 / 842) * c.height, 1, 1).data;
      if (b! > 200 && r! < 120) return true;
      await new Promise((done) => setTimeout(done, 50));
    }
    return false;
  });
  expect(blue).toBe(true);
  expect(await paper.locator('canvas').count()).toBeLessThan(8); // of 30: only what is in sight
  await paper.getByText('1 of 30').waitFor();
  await paper.getByRole('document').focus();
  await ada.page.keyboard.press('End');
  await page(30).getByText('Page number 30').waitFor();
  await paper.getByText('30 of 30').waitFor();
  const width = (await page(30).boundingBox())!.width;
  await ada.page.keyboard.press('+');
  await paper.getByText('125 %').waitFor();
  expect((await page(30).boundingBox())!.width).toBeCloseTo(width * 1.25, 0);
  expect(asked.filter((u) => !u.replace(/^blob:/, '').startsWith(v.server.url))).toEqual([]);
  await ada.page.keyboard.press('Escape');
});

test('a sealed PDF asks for its password, a torn one says so', async () => {
  await ada.row('sealed.pdf').dblclick();
  const sealed = viewer('sealed.pdf');
  await sealed.getByText('This document needs a password.').waitFor();
  await sealed.getByLabel('Password').fill('open up');
  await ada.page.keyboard.press('Enter');
  await sealed.getByText('That is not the password of this document.').waitFor();
  await sealed.getByLabel('Password').fill('sesame');
  await ada.page.keyboard.press('Enter');
  await sealed.getByText('Behind a password').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.row('torn.pdf').dblclick();
  await viewer('torn.pdf').getByText('This is no PDF, or it is damaged.').waitFor();
  await ada.page.keyboard.press('Escape');
});

test('what is in a zip is listed, as text and nothing else', async () => {
  await ada.row('sources.zip').dblclick();
  const sources = viewer('sources.zip');
  await sources.getByText('5 items are in it.').waitFor();
  expect(await sources.getByRole('row').locator('bdi').allTextContents()).toEqual(['src/', 'src/main.go', 'src/<b>bold</b>.txt', '../../etc/passwd', 'größe ☕.txt']);
  await sources.getByRole('cell', { name: '2.0 KiB' }).waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.row('torn.zip').dblclick();
  await viewer('torn.zip').getByText('This is no zip, or it is damaged.').waitFor();
  await ada.page.keyboard.press('Escape');
});

test('a photo tells when and with what it was taken', async () => {
  await vi.waitFor(async () => {
    const facts = await ada.ask<{ entries: { id: number; name: string }[] }>('/api/search?q=photo.jpg');
    const { media } = await ada.ask<{ media?: { camera?: string } }>(`/api/entries/${facts.entries[0]!.id}`);
    expect(media?.camera).toBe('Field Camera 3000'); // a thumbnail service has looked at it
  }, soon);
  await ada.row('photo.jpg').dblclick();
  const photo = viewer('photo.jpg');
  await photo.getByRole('img', { name: 'photo.jpg' }).waitFor();
  await ada.page.keyboard.press('i');
  const details = photo.getByRole('complementary', { name: 'Details' });
  await details.getByText('640 × 360').waitFor();
  await details.getByText('Field Camera 3000').waitFor();
  await details.getByText(/1 March 2026|March 1, 2026/).first().waitFor();
  await details.getByRole('button', { name: 'Properties' }).click();
  await ada.dialog('Properties').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.keyboard.press('Escape');
});

test('subtitles beside a film can be shown with it', async () => {
  await ada.row('film.webm').dblclick();
  const film = viewer('film.webm').locator('video');
  await vi.waitFor(
    async () =>
      expect(await film.evaluate((v: HTMLVideoElement) => Array.from(v.textTracks, (track) => [track.kind, track.label, track.language]))).toEqual([
        ['subtitles', 'German', 'de'],
        ['subtitles', 'Subtitles', ''],
      ]),
    soon,
  );
  const cues = (i: number) =>
    film.evaluate((v: HTMLVideoElement, at: number) => {
      v.textTracks[at]!.mode = 'showing';
      return Array.from(v.textTracks[at]!.cues ?? [], (c) => (c as VTTCue).text);
    }, i);
  await vi.waitFor(async () => expect([await cues(0), await cues(1)]).toEqual([['Guten Tag'], ['Good day']]), soon);
  await ada.page.keyboard.press('Escape');
});

/** Sees to what a browser reads of a file's content: where its ranges begin, and how many bytes have come. */
async function reading(v: Visitor): Promise<{ begins: number[]; statuses: Set<number>; bytes: number; stop: () => Promise<void> }> {
  const devtools = await v.context.newCDPSession(v.page);
  const contents = new Set<string>();
  const seen = { begins: [] as number[], statuses: new Set<number>(), bytes: 0, stop: () => devtools.detach() };
  devtools.on('Network.responseReceived', ({ requestId, response }) => {
    if (!/\/content\?/.test(response.url)) return;
    contents.add(requestId);
    seen.statuses.add(response.status);
    const range = Object.entries(response.headers).find(([name]) => name.toLowerCase() === 'content-range')?.[1];
    seen.begins.push(Number(/bytes (\d+)-/.exec(range ?? '')?.[1] ?? -1));
  });
  devtools.on('Network.dataReceived', ({ requestId, dataLength }) => {
    if (contents.has(requestId)) seen.bytes += dataLength;
  });
  await devtools.send('Network.enable');
  return seen;
}

/** Goes to a part of what is played, and hears or sees it go on from there. */
async function playFrom(media: Locator, part: number): Promise<void> {
  await vi.waitFor(async () => expect(await media.evaluate((m: HTMLMediaElement) => m.duration)).toBeGreaterThan(20), soon);
  const at = await media.evaluate(async (m: HTMLMediaElement, part) => {
    m.muted = true;
    m.currentTime = m.duration * part;
    await m.play();
    return m.duration * part;
  }, part);
  await vi.waitFor(async () => expect(await media.evaluate((m: HTMLMediaElement) => m.currentTime)).toBeGreaterThan(at + 0.3), soon);
  await media.evaluate((m: HTMLMediaElement) => m.pause());
}

test('a long recording and a large film play from the middle, without what lies before it', { timeout: 90_000 }, async () => {
  const size = 64 << 20;
  const recording = await open(join(v.disk, 'concert.wav'), 'w');
  await recording.write(wavHead(size, 48_000, 2, 16));
  await recording.close();
  await truncate(join(v.disk, 'concert.wav'), 44 + size); // silence
  const files = ['concert.wav'];
  if (installed('ffmpeg')) {
    files.push('feature.mp4');
    const [clip, film] = [join(v.disk, 'clip.mp4'), join(v.disk, 'feature.mp4')];
    // Noise is large. Its table of contents is the last thing in the file: that, too, is asked for by a range.
    run('-f', 'lavfi', '-i', 'color=gray:s=320x180:r=25:d=2,noise=alls=100:allf=t', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '22', '-g', '25', '-pix_fmt', 'yuv420p', clip);
    run('-stream_loop', String(Math.ceil(size / 2 / (await stat(clip)).size)), '-i', clip, '-c', 'copy', film);
  }
  await ada.pick(files.map((name) => join(v.disk, name)));
  await ada.page.getByRole('button', { name: /uploads? finished/ }).waitFor({ timeout: 60_000 });
  await ada.button('Clear uploads').click();
  for (const name of files) {
    const { size } = await stat(join(v.disk, name));
    const seen = await reading(ada);
    await ada.row(name).dblclick();
    const media = viewer(name).locator('video, audio');
    await playFrom(media, 0.75);
    await playFrom(media, 0.4);
    expect([...seen.statuses], name).toEqual([206]);
    for (const part of [0.75, 0.4]) expect(seen.begins.some((b) => b > size * (part - 0.1) && b <= size * part + (1 << 20)), `${name} from ${part}: ${seen.begins.join(' ')} of ${size}`).toBe(true);
    // How far it reads ahead of each is the browser's own matter.
    console.log(`${name}: ${seen.begins.length} ranges, ${seen.bytes >> 20} of ${size >> 20} MiB`);
    await seen.stop();
    await ada.page.keyboard.press('Escape');
  }
});

test('what has no preview says what can be done, and may be text', async () => {
  await ada.row('letter.docx').dblclick();
  await viewer('letter.docx').getByText('open it with an office program').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.row('unknown.xyz').dblclick();
  await viewer('unknown.xyz').getByRole('button', { name: 'Look at it as text' }).click();
  await viewer('unknown.xyz').getByText('plain words all the same').waitFor();
  await ada.page.keyboard.press('Escape');
});

test('several entries come down as one zip', async () => {
  await ada.row('paper.pdf').click();
  await ada.row('film.vtt').click({ modifiers: ['Control'] });
  const [download] = await Promise.all([ada.page.waitForEvent('download'), ada.page.getByRole('button', { name: 'Download', exact: true }).click()]);
  expect(download.suggestedFilename()).toBe('Look.zip');
  const saved = join(v.disk, 'down.zip');
  await download.saveAs(saved);
  await ada.page.keyboard.press('Escape');
  await ada.pick(saved);
  await ada.finished('1 upload').waitFor();
  await ada.row('down.zip').dblclick();
  const down = viewer('down.zip');
  await down.getByText('items are in it.').waitFor();
  expect((await down.getByRole('row').locator('bdi').allTextContents()).sort()).toEqual(['film.vtt', 'paper.pdf']);
  await ada.page.keyboard.press('Escape');
});

test('on a phone too', async () => {
  const phone = await Visitor.come(v.browser, { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true });
  await phone.signIn(v.server.url, 'ada', 'correct horse');
  await phone.row('Look').tap();
  await phone.row('paper.pdf').tap();
  await viewer('paper.pdf', phone).getByText('Page number 1', { exact: true }).waitFor();
  await phone.page.goBack();
  await phone.row('photo.jpg').tap();
  await viewer('photo.jpg', phone).getByRole('button', { name: 'Details' }).tap();
  await viewer('photo.jpg', phone).getByText('Field Camera 3000').waitFor();
  expect(await phone.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  expect(phone.errors).toEqual([]);
  await phone.context.close();
});
