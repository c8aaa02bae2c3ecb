/** What the page shows of files, in a real browser, on the real binary: previews, tiles, search, properties, settings. */
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { code, csv, markdown, png, wav } from './samples';
import { soon, visit } from './visit';
import { Visitor } from './visitor';

const v = visit();
let ada: Visitor;
beforeAll(() => void (ada = v.ada));

const viewer = (name: string) => ada.page.getByRole('dialog', { name, exact: true });

test('a visit with files of all kinds', async () => {
  const samples: Record<string, Buffer | string> = {
    'dawn.png': png(900, 560),
    'dusk.png': png(640, 640),
    'Field notes.md': markdown,
    'interview.wav': wav(30),
    'main.go': code,
    'sensor.bin': Buffer.alloc(5_000, 7),
    'torn.jpg': Buffer.alloc(500, 1),
    'long.txt': 'All work and no play.\n'.repeat(60_000),
    'weather.csv': csv,
    'deep/er/treasure map.txt': 'x marks the spot',
  };
  for (const [path, content] of Object.entries(samples)) await v.file(join('Expedition', path), content);
  await v.setUp();
  await ada.drop([join(v.disk, 'Expedition')]);
  await ada.finished('10 uploads').waitFor();
  await ada.button('Clear uploads').click();
  await ada.page.getByRole('link', { name: 'Expedition' }).click();
  await ada.row('dawn.png').waitFor();
});

test('pictures fill the stage, are zoomed and dragged, and follow each other', async () => {
  await ada.row('dawn.png').dblclick();
  const img = viewer('dawn.png').getByRole('img', { name: 'dawn.png' });
  await vi.waitFor(async () => expect(await img.evaluate((i: HTMLImageElement) => i.naturalWidth)).toBe(900), soon);
  expect(ada.page.url()).toBe(`${v.server.url}/files/Expedition?view=dawn.png`);
  await ada.button('Zoom in').click();
  await viewer('dawn.png').getByText('150 %').waitFor();
  await ada.page.mouse.move(700, 400);
  await ada.page.mouse.down();
  await ada.page.mouse.move(760, 430);
  await ada.page.mouse.up();
  expect(await img.evaluate((i: HTMLImageElement) => i.style.transform)).toBe('translate(60px, 30px) scale(1.5)');
  await ada.page.keyboard.press('0');
  await viewer('dawn.png').getByText('100 %').waitFor();
  await ada.page.keyboard.press('ArrowRight');
  await viewer('dusk.png').getByRole('img', { name: 'dusk.png' }).waitFor();
  await ada.page.keyboard.press('Escape');
  await viewer('dusk.png').waitFor({ state: 'detached' });
  expect(ada.page.url()).toBe(`${v.server.url}/files/Expedition`);
});

test('what is no picture says so; what has no preview offers a download', async () => {
  await ada.row('torn.jpg').dblclick();
  await viewer('torn.jpg').getByText('This picture cannot be shown.').waitFor();
  await ada.page.goBack();
  await viewer('torn.jpg').waitFor({ state: 'detached' });
  await ada.row('sensor.bin').click();
  await ada.page.keyboard.press('Enter');
  await viewer('sensor.bin').getByText('There is no preview').waitFor();
  const down = await ada.download(() => viewer('sensor.bin').getByRole('button', { name: 'Download (4.9 KiB)' }).click());
  expect(down.name).toBe('sensor.bin');
  await ada.page.keyboard.press('Escape');
});

test('sound plays from where one seeks to', async () => {
  await ada.row('interview.wav').dblclick();
  const audio = viewer('interview.wav').locator('audio');
  await vi.waitFor(async () => expect(await audio.evaluate((a: HTMLAudioElement) => a.duration)).toBe(30), soon);
  await audio.evaluate((a: HTMLAudioElement) => (a.currentTime = 25));
  await vi.waitFor(async () => expect(await audio.evaluate((a: HTMLAudioElement) => !a.seeking && a.currentTime >= 25 && a.readyState >= 2)).toBe(true), soon);
  await ada.page.keyboard.press('Escape');
});

test('documents are shown as what they are, and run nothing', async () => {
  await ada.page.goto(`${v.server.url}/files/Expedition?view=Field%20notes.md`);
  const notes = viewer('Field notes.md');
  await notes.getByRole('heading', { name: 'Field notes', level: 1 }).waitFor();
  expect(await notes.getByRole('link').allTextContents()).toEqual(['the map']);
  await notes.getByText('<img src=x onerror=').waitFor();
  expect(await notes.getByRole('cell', { name: '1200 m' }).count()).toBe(1);
  expect(await notes.locator('article img').count()).toBe(0);
  await ada.page.keyboard.press('Escape');
  await notes.waitFor({ state: 'detached' });
  expect(ada.page.url()).toBe(`${v.server.url}/files/Expedition`);

  await ada.row('weather.csv').dblclick();
  await viewer('weather.csv').getByRole('cell', { name: 'Sør "B"' }).waitFor();
  await ada.button('Show source').click();
  await viewer('weather.csv').getByText('"Sør ""B"""').waitFor();
  await ada.page.keyboard.press('Escape');

  await ada.row('main.go').dblclick();
  await viewer('main.go').locator('.hljs-keyword', { hasText: 'package' }).waitFor();
  expect(await viewer('main.go').locator('pre').textContent()).toBe(code);
  await ada.page.keyboard.press('Escape');

  await ada.row('long.txt').dblclick();
  await viewer('long.txt').getByText('Only the first MiB is shown.').waitFor();
  expect((await viewer('long.txt').locator('pre').textContent())!.length).toBe(1 << 20);
  await ada.page.keyboard.press('Escape');
});

test('tiles do what rows do, and are remembered', async () => {
  await ada.button('Show as tiles').click();
  await ada.row('dawn.png').click();
  expect(await ada.row('dawn.png').getAttribute('aria-selected')).toBe('true');
  await ada.page.keyboard.press('ArrowRight');
  expect(await ada.row('dusk.png').getAttribute('aria-selected')).toBe('true');
  const [one, two] = await Promise.all([ada.row('dawn.png').boundingBox(), ada.row('dusk.png').boundingBox()]);
  expect(two!.y).toBe(one!.y);
  await ada.page.reload();
  await ada.button('Show as list').waitFor();
  await ada.row('dawn.png').waitFor();
  expect(await ada.names()).toContain('weather.csv');
  const width = () => ada.row('dawn.png').locator('img').evaluate((i: HTMLImageElement) => i.naturalWidth);
  await vi.waitFor(async () => expect(await width()).toBeGreaterThan(100), soon); // a thumbnail
  await ada.button('Show as list').click();
});

test('a search finds names in the whole tree, by keyboard', async () => {
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
  await ada.row('Expedition').click();
  await ada.page.keyboard.press('/');
  await ada.page.keyboard.type('treas');
  const results = ada.page.getByRole('grid', { name: 'Results' });
  await results.getByRole('row', { name: 'treasure map.txt' }).getByText('Expedition › deep › er').waitFor();
  await ada.page.getByRole('combobox', { name: 'Search all files' }).fill('e');
  await vi.waitFor(async () => expect(await results.getByRole('row').count()).toBeGreaterThan(4), soon);
  await ada.page.getByRole('combobox', { name: 'Search all files' }).fill('no such thing');
  await ada.page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  await ada.page.getByRole('combobox', { name: 'Search all files' }).fill('TREAS');
  await vi.waitFor(async () => expect(await results.getByRole('row').count()).toBe(1), soon);
  await ada.page.keyboard.press('Enter');
  await viewer('treasure map.txt').getByText('x marks the spot').waitFor();
  await ada.page.keyboard.press('Escape');
  await results.waitFor();
  await ada.page.keyboard.press('/');
  await ada.page.keyboard.press('Control+Enter');
  await vi.waitFor(async () => expect(await ada.row('treasure map.txt').getAttribute('aria-selected')).toBe('true'), soon);
  expect(ada.page.url()).toBe(`${v.server.url}/files/Expedition/deep/er`);
});

test('properties tell what a file is, and what fills a folder', async () => {
  await ada.page.keyboard.press('i');
  const properties = ada.dialog('Properties');
  await properties.getByText('All files › Expedition › deep › er').waitFor();
  await properties.getByText('16 B').waitFor();
  expect(await properties.getByLabel('hash', { exact: true }).inputValue()).toMatch(/^[0-9a-f]{64}$/);
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
  await ada.menu('Expedition', 'Properties');
  await properties.getByText('2 folders, 10 files').waitFor();
  await properties.getByText('What takes the space').waitFor();
  await ada.page.keyboard.press('Escape');
});

test('settings: theme and language at once and for later, devices, programs', async () => {
  const open = async () => {
    await ada.button('Account of ada').click();
    await ada.page.getByRole('menuitem', { name: 'Settings…' }).click();
  };
  await open();
  const settings = ada.dialog('Settings');
  await settings.getByRole('radio', { name: 'Dark' }).check();
  expect(await ada.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('dark');

  const other = await Visitor.come(v.browser);
  await other.signIn(v.server.url, 'ada', 'correct horse');
  await other.page.getByText('Connected').waitFor();
  other.expected = /status of 401/;
  await settings.getByRole('tab', { name: 'Devices' }).click();
  await settings.getByText('This device').waitFor();
  await settings.getByRole('button', { name: 'Sign out' }).click();
  await other.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(other.errors).toEqual([]);
  await other.context.close();

  await settings.getByRole('tab', { name: 'Programs' }).click();
  await settings.getByLabel('What is the password for?').fill('Laptop');
  await settings.getByRole('button', { name: 'Make a password' }).click();
  await settings.getByText('It is shown this once.').waitFor();
  expect(await settings.getByLabel('password', { exact: true }).inputValue()).toMatch(/^\S{12,}$/);
  await settings.getByRole('button', { name: 'Withdraw' }).click();
  await ada.page.getByText('The password is withdrawn.').waitFor();

  await settings.getByRole('tab', { name: 'Appearance' }).click();
  await settings.getByRole('radio', { name: 'Deutsch' }).check();
  await ada.dialog('Einstellungen').getByRole('button', { name: 'Schließen' }).last().click();
  await ada.page.keyboard.press('Escape'); // nothing is selected any more
  await ada.button('Dateien hochladen').waitFor();
  await ada.page.reload();
  await ada.button('Dateien hochladen').waitFor();
  expect(await ada.page.evaluate(() => document.documentElement.lang + getComputedStyle(document.documentElement).colorScheme)).toBe('dedark');
  await ada.row('Expedition').click();
  await ada.page.keyboard.press('?');
  await ada.dialog('Tastenkürzel').getByText('Alle Dateien durchsuchen').waitFor();
  await ada.page.keyboard.press('Escape');
});

test('on a phone all of it has room', async () => {
  const phone = await Visitor.come(v.browser, { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true });
  await phone.signIn(v.server.url, 'ada', 'correct horse');
  await phone.row('Expedition').tap();
  await phone.row('dawn.png').tap();
  const shown = (name: string) => phone.page.getByRole('dialog', { name, exact: true }).getByRole('img', { name });
  await shown('dawn.png').waitFor();
  await phone.swipe(shown('dawn.png'), { x: -150, y: 10 });
  await phone.swipe(shown('dusk.png'), { x: 20, y: 5 }); // too little to mean anything
  await phone.swipe(shown('dusk.png'), { x: 150, y: 10 });
  await phone.swipe(shown('dawn.png'), { x: 5, y: 200 });
  await phone.page.getByRole('dialog').waitFor({ state: 'detached' });
  expect(phone.page.url()).toBe(`${v.server.url}/files/Expedition`);
  await phone.button('Show as tiles').tap();
  await phone.row('dawn.png').waitFor();
  expect(await phone.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  expect(phone.errors).toEqual([]);
  await phone.context.close();
});
