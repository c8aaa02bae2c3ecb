/** The page for who does not see it, or not well: axe finds nothing serious in any view, in both themes, at a desk and on a phone. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findings } from './axe';
import { code, csv, markdown, pdf, png, wav, zip } from './samples';
import { Server } from './server';
import { launch, Visitor } from './visitor';

let server: Server;
let browser: Browser;

const samples: Record<string, Buffer | string> = {
  'dawn.png': png(90, 56),
  'notes.md': markdown,
  'interview.wav': wav(1),
  'main.go': code,
  'weather.csv': csv,
  'paper.pdf': pdf(['Page one']),
  'sources.zip': zip({ 'a.txt': 'a' }),
  'letter.docx': Buffer.alloc(40, 3),
};

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const desk = { width: 1280, height: 800 };
const phone = { width: 360, height: 740 };

/** What was found so far, with the view that it is in: all of it is told together. */
const serious: string[] = [];
afterEach(() => expect(serious.splice(0)).toEqual([]));

/** Looks at a view as it is at a desk and on a phone, in both themes. */
async function clean(v: Visitor, view: string, sizes = [desk, phone]): Promise<void> {
  for (const size of sizes) {
    if (sizes.length > 1) await v.page.setViewportSize(size);
    // Colours are those of the theme at any size: on a phone one theme is enough.
    const looks = size === phone ? ([['dark', 'all']] as const) : ([['light', 'all'], ['dark', 'contrast']] as const);
    for (const [colorScheme, rules] of looks) {
      await v.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      // Colours that are still on their way to another theme are none that anybody reads; what stays is looked at again.
      let found = await findings(v, rules);
      for (let tries = 0; found.length > 0 && tries < 5; tries++) found = await findings(v, rules);
      serious.push(...found.map((f) => `${view}, ${colorScheme}, ${size.width}: ${f}`));
    }
  }
  await v.page.emulateMedia({ colorScheme: 'light' });
  if (sizes.length > 1) await v.page.setViewportSize(desk);
}

test('what is wrong is found', async () => {
  const v = await Visitor.come(browser);
  await v.page.goto(server.setupURL);
  await v.page.getByRole('heading', { name: 'Welcome to discord-cloud' }).waitFor();
  await clean(v, 'set-up');
  await v.page.evaluate(() => {
    const p = document.createElement('p');
    p.textContent = 'hard to read';
    p.style.color = '#ccc';
    p.style.background = '#fff';
    document.body.append(p, document.createElement('button'));
  });
  const found = (await findings(v)).map((f) => f.split(':')[0]);
  expect(found).toEqual(expect.arrayContaining(['color-contrast', 'button-name']));
  await v.setUp(server.setupURL);
  await v.pick(Object.entries(samples).map(([name, content]) => ({ name, mimeType: '', buffer: Buffer.from(content) })));
  await v.finished('8 uploads').waitFor();
  expect(v.errors).toEqual([]);
  await v.context.close();
});

let v: Visitor;

test('signing in, the list, tiles, a menu, settings and keys', { timeout: 90_000 }, async () => {
  v = await Visitor.come(browser, { viewport: desk, reducedMotion: 'reduce' });
  await v.page.goto(server.url);
  await v.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await clean(v, 'sign in');
  await v.signIn(server.url, 'ada', 'correct horse');
  await v.row('paper.pdf').waitFor();
  await clean(v, 'list');
  await v.button('Show as tiles').click();
  await v.button('Show as list').waitFor();
  await clean(v, 'tiles');
  await v.button('Show as list').click();
  await v.button('Account of ada').click();
  await v.page.getByRole('menuitem', { name: 'Settings…' }).waitFor();
  await clean(v, 'account menu', [desk]);
  await v.page.getByRole('menuitem', { name: 'Settings…' }).click();
  const settings = v.dialog('Settings');
  for (const tab of await settings.getByRole('tab').all()) {
    await tab.click();
    await settings.getByText('Loading…').waitFor({ state: 'detached' });
    await clean(v, `settings, ${await tab.textContent()}`);
  }
  await v.page.keyboard.press('Escape');
  await v.page.keyboard.press('?');
  await v.dialog('Keyboard shortcuts').waitFor();
  await clean(v, 'keys');
  await v.page.keyboard.press('Escape');
});

test('every kind of preview, its details, and uploads', { timeout: 120_000 }, async () => {
  for (const name of Object.keys(samples)) {
    await v.page.goto(`${server.url}/files?view=${encodeURIComponent(name)}`);
    const viewer = v.page.getByRole('dialog', { name, exact: true });
    await viewer.getByRole('button', { name: 'Download' }).first().waitFor();
    await viewer.getByText('Loading…').waitFor({ state: 'detached' });
    if (name === 'paper.pdf') await viewer.getByText('Page one').waitFor();
    if (name === 'dawn.png') await v.page.keyboard.press('i');
    await clean(v, name);
  }
  await v.page.goto(`${server.url}/files/none`);
  await v.page.getByRole('heading', { name: 'This folder is not there' }).waitFor();
  await clean(v, 'a folder that is not there');
  await v.page.goto(`${server.url}/files`);
  await v.row('paper.pdf').waitFor();
  await v.throttle(1 << 17); // slow enough to be looked at
  await v.pick([{ name: 'film.bin', mimeType: '', buffer: Buffer.alloc(6 << 20) }, { name: 'main.go', mimeType: '', buffer: Buffer.from('x') }]);
  await v.dialog('is there already').waitFor();
  await clean(v, 'a question about a name');
  await v.page.keyboard.press('Escape');
  await v.button('Pause film.bin').click();
  await v.upload('film.bin').getByText('Paused').waitFor();
  await clean(v, 'uploads');
  await v.button('Cancel film.bin').click();
  await v.upload('film.bin').getByText('Cancelled').waitFor();
});

test('a visit without a mouse: everything is reached, can be seen to be, and gives the focus back', { timeout: 60_000 }, async () => {
  const { page } = v;
  const { keyboard } = page;
  await page.goto(`${server.url}/files`);
  await v.row('paper.pdf').waitFor();

  /** The name of what has the focus, and whether that shows. */
  const focused = () =>
    page.evaluate(() => {
      const e = document.activeElement!;
      const name = (e.getAttribute('aria-label') ?? (e as HTMLInputElement).labels?.[0]?.textContent ?? e.textContent ?? '').trim();
      return { name: e === document.body ? '' : name, shown: getComputedStyle(e).outlineStyle !== 'none' || e.getAttribute('role') === 'grid' }; // the grid lights its row
    });
  const stops: string[] = [];
  for (let i = 0; i < 60; i++) {
    await keyboard.press('Tab');
    const { name, shown } = await focused();
    if (name === '' || (stops.length > 1 && name === stops[0])) break;
    expect(shown, name).toBe(true);
    stops.push(name);
  }
  for (const name of ['Folders and views', 'discord-cloud', 'Search all files', 'Account of ada', 'Recent', 'Trash', 'All files', 'Show as tiles', 'New folder', 'Upload files', 'More ways to add', 'Files and folders', 'Select all', 'Size']) {
    expect(stops.some((s) => s.includes(name)), `${name} among ${stops.join(', ')}`).toBe(true);
  }
  const reach = async (name: string) => {
    for (let i = 0; i < stops.length + 5; i++) {
      if ((await focused()).name.includes(name)) return;
      await keyboard.press('Tab');
    }
    throw new Error(`${name} is not reached`);
  };

  await keyboard.press('n');
  await v.dialog('New folder').waitFor();
  await keyboard.type('by keys');
  await keyboard.press('Enter');
  await v.row('by keys').waitFor();
  await v.dialog('New folder').waitFor({ state: 'detached' });
  expect((await focused()).name).toBe('Files and folders');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'This folder is empty' }).waitFor();
  await keyboard.press('Backspace');
  await v.row('by keys').waitFor();
  await keyboard.press('Home');
  await keyboard.press('F2');
  await page.getByRole('textbox', { name: 'New name of by keys' }).waitFor();
  await keyboard.press('Control+a');
  await keyboard.type('by hand');
  await keyboard.press('Enter');
  await v.row('by hand').waitFor();
  await page.getByRole('textbox', { name: 'New name of' }).waitFor({ state: 'detached' });
  await keyboard.press('Delete');
  await v.dialog('Delete “by hand”?').waitFor();
  await keyboard.press('Enter');
  await v.row('by hand').waitFor({ state: 'detached' });
  await page.getByText('“by hand” is deleted.').waitFor(); // and can be taken back: others' news may have come before
  await v.dialog('Delete “by hand”?').waitFor({ state: 'detached' });
  await keyboard.press('Control+z');
  await v.row('by hand').waitFor();
  await keyboard.press('/');
  await keyboard.type('notes');
  await page.getByRole('row', { name: 'notes.md' }).waitFor();
  await keyboard.press('Enter');
  await v.dialog('notes.md').getByRole('heading', { name: 'Field notes' }).waitFor();
  await keyboard.press('Escape');
  await v.dialog('notes.md').waitFor({ state: 'detached' });
  expect((await focused()).name).toBe('Search all files');
  await keyboard.press('Escape');
  await v.row('paper.pdf').waitFor();
  await reach('Size');
  await keyboard.press('Enter');
  await page.getByRole('columnheader', { name: 'Size' }).and(page.locator('[aria-sort=ascending]')).waitFor();
  await reach('Account of ada');
  await keyboard.press('Enter');
  await page.getByRole('menu', { name: 'Account' }).waitFor();
  expect((await focused()).name).toBe('Settings…');
  await keyboard.press('Enter');
  await v.dialog('Settings').waitFor();
  await keyboard.press('Escape');
  await v.dialog('Settings').waitFor({ state: 'detached' });
  expect((await focused()).name).toContain('Account of ada');
});
