/** Links, by who makes them and by who opens them without an account, in real browsers on the real binary. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { contents } from '../src/lib/preview/zip';
import { png } from './samples';
import { MiB, soon, visit } from './visit';
import { findings } from './axe';
import { sha256, Visitor } from './visitor';
import { scriptsOf } from './weigh';

const v = visit();

type Terms = { mode: 'view' | 'download' | 'upload'; password?: string; most_uses?: number };
type Made = { id: number; path: string };

/** The id of an entry at the top. */
async function idOf(name: string): Promise<number> {
  const { entry } = await v.ada.api<{ entry: { id: number } }>('GET', `/api/lookup?${new URLSearchParams({ path: `/${name}` })}`);
  return entry.id;
}

async function link(name: string, terms: Terms): Promise<Made> {
  return (await v.ada.api<{ link: Made }>('POST', `/api/entries/${await idOf(name)}/links`, terms)).link;
}

/** Somebody without an account who opens a link; nothing may go wrong with him unless it is expected. */
async function guest(path: string, look: (g: Visitor) => Promise<void>, { expected, ...more }: Parameters<typeof Visitor.come>[1] & { expected?: RegExp } = {}): Promise<void> {
  const g = await Visitor.come(v.browser, more);
  g.expected = expected;
  const asked: string[] = [];
  g.page.on('request', (r) => asked.push(r.url()));
  try {
    await g.page.goto(v.server.url + path);
    await look(g);
    expect(g.errors).toEqual([]);
    const text = path.slice('/s/'.length);
    expect(asked.filter((url) => url.includes(text) && url !== v.server.url + path)).toEqual([]); // in no other address
    expect(await g.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]))).not.toContain(text);
  } finally {
    await g.context.close();
  }
}

const page = '<script>document.title = "broken in"</script><p>Hello</p>';

test('a folder is made ready', async () => {
  await v.setUp();
  const disk = await Promise.all([
    v.file('album/dawn.png', png(640, 400)),
    v.file('album/notes.txt', 'packed: rope, stove'),
    v.file('album/page.html', page),
    v.file('album/inner/deep.bin', 300_000),
    v.file('film.bin', MiB),
  ]);
  await v.ada.drop([join(v.disk, 'album'), disk[4]]);
  await v.ada.finished('5 uploads').waitFor();
  await v.ada.api('POST', `/api/entries/${await idOf('album')}/folders`, { name: 'in box' });
});

/** Nothing serious is in the way of anybody, in either theme. */
async function clean(g: Visitor): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    await g.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await vi.waitFor(async () => expect(await findings(g, colorScheme === 'light' ? 'all' : 'contrast')).toEqual([]), soon);
  }
}

test('a link loads little script, and none of the file list', async () => {
  const { path } = await link('film.bin', { mode: 'download' });
  const g = await Visitor.come(v.browser);
  const scripts = scriptsOf(g.page);
  await g.page.goto(v.server.url + path, { waitUntil: 'networkidle' });
  await g.page.getByRole('heading', { name: 'film.bin' }).waitFor();
  const size = (await scripts()).reduce((n, s) => n + s.size, 0);
  console.log(`compressed script: ${size} bytes for a link`);
  const { script } = JSON.parse(await readFile(join(import.meta.dirname, '../budget.json'), 'utf8')) as { script: { link: number } };
  expect(size).toBeGreaterThan(10_000); // else nothing was counted
  expect(size).toBeLessThanOrEqual(script.link);
  expect(await g.page.locator('meta[property="og:title"]').getAttribute('content')).toBe('film.bin');
  await g.context.close();
});

test('who opens a link to a folder looks into it and downloads', async () => {
  const { path } = await link('album', { mode: 'view' });
  await guest(path, async (g) => {
    await g.page.getByRole('heading', { name: 'album' }).waitFor();
    await g.page.getByText('Shared by ada').waitFor();
    expect(await g.page.title()).toBe('album – discord-cloud');
    await v.picture('link-folder', g);
    await clean(g);
    // The picture is looked at, then the text beside it.
    await g.button('dawn.png').click();
    const image = g.dialog('dawn.png').getByRole('img', { name: 'dawn.png' });
    await vi.waitFor(async () => expect(await image.evaluate((i: HTMLImageElement) => i.naturalWidth)).toBe(640), soon);
    await g.page.keyboard.press('ArrowRight');
    await g.page.getByText('packed: rope, stove').waitFor();
    await g.page.keyboard.press('Escape');
    // A stored page is text, and none of its scripts runs.
    await g.button('page.html').click();
    await g.page.getByText('broken in').waitFor();
    expect(await g.page.title()).not.toContain('broken');
    await g.page.keyboard.press('Escape');
    await g.page.getByRole('link', { name: 'inner' }).click();
    const { sha256: got } = await g.download(() => g.button('Download deep.bin').click());
    expect(got).toBe(await sha256(join(v.disk, 'album/inner/deep.bin')));
    await g.page.goBack();
    await g.button('notes.txt').waitFor();
    const [zip] = await Promise.all([g.page.waitForEvent('download'), g.button('Download all').click()]);
    expect(zip.suggestedFilename()).toBe('album.zip');
    const packed = await readFile(await zip.path());
    const { members } = await contents(packed.length, (from, to) => Promise.resolve(new Uint8Array(packed.subarray(from, to)).buffer), 100);
    expect(members.filter((m) => !m.folder).map((m) => m.name).sort()).toEqual(['dawn.png', 'inner/deep.bin', 'notes.txt', 'page.html']);
    await g.button('Show as tiles').click();
    await vi.waitFor(async () => expect(await g.page.locator('li img').count()).toBeGreaterThan(0), soon); // the thumbnail
  });
});

test('a link with a password asks for it, and a phone has room for all of it', async () => {
  const { path } = await link('film.bin', { mode: 'download', password: 'the word' });
  await guest(
    path,
    async (g) => {
      await g.page.getByRole('heading', { name: 'Geschützter Link' }).waitFor();
      expect(await g.page.title()).not.toContain('film.bin');
      await clean(g);
      await g.page.getByLabel('Passwort').fill('a word');
      await g.button('Öffnen').click();
      await g.page.getByText('Das ist nicht das Passwort dieses Links.').waitFor();
      await g.page.getByLabel('Passwort').fill('the word');
      await g.page.keyboard.press('Enter');
      await g.page.getByRole('heading', { name: 'film.bin' }).waitFor();
      await clean(g);
      expect(await g.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
      const { name, sha256: got } = await g.download(() => g.button('Herunterladen').click());
      expect([name, got]).toEqual(['film.bin', await sha256(join(v.disk, 'film.bin'))]);
    },
    { viewport: { width: 360, height: 740 }, locale: 'de-DE', expected: /401/ },
  );
});

test('a part of the page that does not come is told of', async () => {
  const { path } = await link('album', { mode: 'view' });
  await guest(
    path,
    async (g) => {
      await g.page.route('**/assets/ViewerDialog-*.js', (r) => r.abort());
      await g.button('notes.txt').click();
      await g.page.getByText('A part of this page could not be loaded.').waitFor();
      const { sha256: got } = await g.download(() => g.button('Download notes.txt').click());
      expect(got).toBe(await sha256(join(v.disk, 'album/notes.txt')));
    },
    { expected: /ERR_FAILED|dynamically imported/ },
  );
});

test('the last use is told, and the next visitor finds no link', async () => {
  const { path } = await link('film.bin', { mode: 'download', most_uses: 1 });
  await guest(path, async (g) => {
    await g.page.getByText('1 use left').waitFor();
    await g.download(() => g.button('Download').click());
    await g.page.getByText('The last use of this link is taken.').waitFor();
    expect(await g.button('Download').isDisabled()).toBe(true);
  });
  await guest(path, (g) => g.page.getByRole('heading', { name: 'This link does not work' }).waitFor(), { expected: /404/ });
});

test('a link that is revoked while it is open ends there too', async () => {
  const { path, id } = await link('album', { mode: 'view' });
  await guest(path, async (g) => {
    await g.button('notes.txt').waitFor();
    g.expected = /40[14]/;
    await v.ada.api('DELETE', `/api/links/${id}`);
    await g.page.getByRole('link', { name: 'inner' }).click();
    await g.page.getByRole('heading', { name: 'This link does not work' }).waitFor();
  });
});

test('files are sent by a link, with nothing of what is there', async () => {
  const { path } = await link('album', { mode: 'upload' });
  const sent = await v.file('letter.bin', 5 * MiB);
  await guest(path, async (g) => {
    await g.page.getByRole('heading', { name: 'Send files to “album”' }).waitFor();
    expect(await g.page.getByText('dawn.png').count()).toBe(0);
    // One is stopped on its way and then sent all the same, others by dropping them.
    await g.throttle(MiB);
    const [chooser] = await Promise.all([g.page.waitForEvent('filechooser'), g.button('Choose files').click()]);
    await chooser.setFiles(sent);
    await vi.waitFor(async () => expect(Number(await g.page.getByRole('progressbar', { name: 'letter.bin' }).getAttribute('value'))).toBeGreaterThan(0), soon);
    await g.button('Cancel letter.bin').click();
    await g.page.getByText('Cancelled').waitFor();
    await g.throttle(0);
    await g.button('Try letter.bin again').click();
    await g.page.getByText('Sent ·').waitFor();
    await g.drop([await v.file('a.txt', 'first'), await v.file('notes.txt', 'another')]);
    await g.page.getByText('3 files sent').waitFor();
    await clean(g);
  });
  await v.ada.row('album').dblclick();
  await v.ada.row('letter.bin').waitFor();
  const { sha256: got } = await v.ada.download(() => v.ada.menu('letter.bin', 'Download'));
  expect(got).toBe(await sha256(sent));
  expect(await v.ada.names()).toEqual(expect.arrayContaining(['a.txt', 'notes.txt', 'notes (1).txt'])); // a name that is taken is not told, and stays
});

/** A link in the dialog, by its title. */
const item = (title: string) => v.ada.page.getByRole('listitem', { name: title });
const address = (title: string) => item(title).getByRole('textbox', { name: 'link' }).inputValue();
const pathOf = (url: string) => new URL(url).pathname;

test('links are made, changed and revoked on the page', async () => {
  const { ada } = v;
  await ada.page.goto(v.server.url);
  await ada.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await ada.menu('film.bin', 'Links…');
  const dialog = ada.dialog('Share “film.bin”');
  const field = (name: string) => dialog.getByRole('textbox', { name, exact: true });
  // There is a link already, made above, that has ended.
  await item('Download only').filter({ hasText: 'Ended' }).waitFor();
  await ada.button('New link').click();
  expect(await dialog.getByRole('radio', { name: /Send files/ }).count()).toBe(0); // to a file
  await dialog.getByRole('radio', { name: /Download only/ }).check();
  await field('Name').fill('For the club');
  await field('Password').fill('abc');
  await field('Most downloads').fill('5');
  ada.expected = /400/;
  await ada.button('Make the link').click();
  await dialog.getByText('The password of a link has 4 to 1024 bytes.').waitFor();
  ada.expected = undefined;
  await field('Password').fill('open sesame');
  await clean(ada);
  await field('Password').press('Enter');
  await dialog.getByText('The link is made.').waitFor();
  const club = item('For the club');
  await club.getByText(/with a password · 0 of 5 uses · never used/).waitFor();
  await club.getByRole('button', { name: 'Copy link' }).click();
  const url = await address('For the club');
  expect(await ada.page.evaluate(() => navigator.clipboard.readText())).toBe(url);
  await club.getByRole('button', { name: 'QR code' }).click();
  await club.getByRole('img', { name: 'QR code of the link' }).waitFor();
  await v.picture('links');
  await guest(
    pathOf(url),
    async (g) => {
      await g.page.getByLabel('Password').fill('open sesame');
      await g.page.keyboard.press('Enter');
      await g.page.getByText('5 uses left').waitFor();
      // The password goes, and so does who came by it; then the link itself.
      await club.getByRole('button', { name: 'Change' }).click();
      await dialog.getByLabel('Take the password off').check();
      await dialog.getByLabel('Ends').fill('2099-12-31T23:59');
      await ada.button('Save').click();
      await dialog.getByText('The link is changed.').waitFor();
      await club.getByText(/Download only · until .*2099 · 0 of 5 uses/).waitFor();
      await g.button('Download').click();
      await g.page.getByText(/until .*2099/).waitFor(); // opened once more by itself, with the new terms
      await g.download(() => g.button('Download').click());
      await club.getByRole('button', { name: 'Uses' }).click();
      await club.getByRole('list', { name: 'Uses' }).getByText(/Downloaded · film\.bin · 127\.0\.0\.1 · Chrome/).waitFor();
      await club.getByText(/1 of 5 uses · used/).waitFor();
      await club.getByRole('button', { name: 'Revoke' }).click();
      await ada.button('Revoke the link').click();
      await dialog.getByText('The link is revoked.').waitFor();
      expect(await club.count()).toBe(0);
      await g.button('Download').click();
      await g.page.getByRole('heading', { name: 'This link does not work' }).waitFor();
    },
    { expected: /40[14]/ },
  );
  // People and links stand side by side.
  await dialog.getByRole('tab', { name: 'People' }).click();
  await dialog.getByRole('combobox', { name: 'Add a user or a group' }).waitFor();
  await ada.page.keyboard.press('ArrowRight');
  await item('Download only').first().waitFor();
  await ada.button('Done').click();
}, 60_000);

test('all links of one’s own are in one place, and everybody’s for administrators', async () => {
  const bob = await v.guest('bob', { viewport: { width: 360, height: 740 } });
  await bob.page.evaluate(() => localStorage.setItem('discord-cloud-language', 'de'));
  await bob.page.reload();
  await bob.api('POST', '/api/entries/0/folders', { name: 'Bobs Ordner' });
  await bob.row('Bobs Ordner').waitFor();
  await bob.row('Bobs Ordner').getByRole('button', { name: /Aktionen/ }).click();
  await bob.page.getByRole('menuitem', { name: 'Links …' }).click();
  await bob.page.getByRole('radio', { name: /Dateien senden/ }).check();
  await bob.button('Link anlegen').click();
  await bob.page.getByText('Der Link ist angelegt.').waitFor();
  expect(await bob.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await clean(bob);
  // Who is signed in sends files by the links of others as everybody does.
  const { path } = await link('album', { mode: 'upload' });
  await bob.page.goto(v.server.url + path);
  await bob.page.getByRole('heading', { name: 'Dateien an „album“ senden' }).waitFor();
  const [chooser] = await Promise.all([bob.page.waitForEvent('filechooser'), bob.button('Dateien auswählen').click()]);
  await chooser.setFiles(await v.file('from bob.txt', 'hello'));
  await bob.page.getByText('1 Datei gesendet').waitFor();
  expect(bob.errors).toEqual([]);
  await bob.context.close();
  const { ada } = v;
  await ada.button('Account of ada').click();
  await ada.page.getByRole('menuitem', { name: 'My links…' }).click();
  await item('album').first().waitFor();
  expect(await item('Bobs Ordner').count()).toBe(0);
  await ada.page.getByLabel('Links of all users').check();
  await item('Bobs Ordner').getByText(/bob · Send files/).waitFor();
  expect(await item('Bobs Ordner').getByRole('textbox').count()).toBe(0); // ended by administrators, and not opened
  await item('Bobs Ordner').getByRole('button', { name: 'Revoke' }).click();
  await ada.button('Revoke the link').click();
  await ada.page.getByText('The link is revoked.').waitFor();
  expect((await ada.api<{ links: { owner: string }[] }>('GET', '/api/links?all=1')).links.filter((l) => l.owner === 'bob')).toEqual([]);
});
