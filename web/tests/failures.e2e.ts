/** What the page shows while it waits, and where something fails: in words, with a way on. */
import { beforeAll, expect, test, vi } from 'vitest';
import { pdf, png, wav, zip } from './samples';
import { password, soon, visit } from './visit';
import { Visitor } from './visitor';

const v = visit();
let ada: Visitor;

beforeAll(async () => {
  await v.ada.context.close();
  // A service worker would answer for parts of the page that are to be missing here.
  ada = v.ada = await Visitor.come(v.browser, { serviceWorkers: 'block' });
  ada.expected = /Service Worker registration blocked/;
});

const notice = () => ada.page.getByRole('heading', { name: 'This did not work' });
const log = 'Something went wrong on the server. Its log says more.';
const again = () => ada.button('Try again');

/** While work is done, the server fails at what is asked of it by these paths. */
async function failing(path: RegExp, work: () => Promise<void>): Promise<void> {
  ada.expected = /Service Worker registration blocked|status of 500/;
  await ada.page.route(path, (route) => route.fulfill({ status: 500, json: { error: { code: 'internal', message: 'internal error' } } }));
  await work();
  await ada.page.unroute(path);
}

/** While work is done, the server does not answer by these paths. */
async function waiting(path: RegExp, work: () => Promise<void>): Promise<void> {
  let release = (): void => undefined;
  const held = new Promise<void>((r) => (release = r));
  await ada.page.route(path, async (route) => {
    await held;
    await route.continue();
  });
  await work();
  release();
  await ada.page.unrouteAll({ behavior: 'wait' });
}

test('who waits for the server is told so', async () => {
  await waiting(/api\/status$/, async () => {
    void ada.page.goto(v.server.setupURL);
    await ada.page.getByRole('status').getByText('Connecting…').waitFor();
  });
  await v.setUp();
  const samples = { 'notes.txt': 'words', 'dawn.png': png(60, 40), 'paper.pdf': pdf(['One']), 'sources.zip': zip({ a: 'a' }), 'plan.md': '# Plan', 'main.go': 'package main', 'tone.wav': wav(2) };
  await ada.pick(Object.entries(samples).map(([name, content]) => ({ name, mimeType: '', buffer: Buffer.from(content) })));
  await ada.finished('7 uploads').waitFor();
  await ada.button('Clear uploads').click();
  await ada.api('POST', '/api/entries/0/folders', { name: 'papers' });
  await ada.row('papers').waitFor();
});

test('a folder has bones until it comes, and says when it does not', async () => {
  await waiting(/children\?(?!.*kind=folder)/, async () => {
    await ada.page.getByRole('link', { name: 'papers' }).click();
    await ada.page.getByRole('grid', { name: 'Files and folders' }).locator('.bone').first().waitFor();
    expect(await ada.page.getByRole('grid').getAttribute('aria-busy')).toBe('true');
  });
  await ada.page.getByRole('heading', { name: 'This folder is empty' }).waitFor();
  await failing(/\/api\/lookup|\/children/, async () => {
    await ada.page.goto(`${v.server.url}/files`);
    await notice().waitFor();
    await ada.page.getByText(log).first().waitFor();
    await ada.page.getByTitle(`All files: ${log}`).waitFor();
  });
  await again().click();
  await ada.row('papers').waitFor();
  await ada.page.getByRole('treeitem', { name: 'papers' }).waitFor();
});

test('so do lists, the trash, and a search', async () => {
  const lists = { Recent: /\/api\/search/, Starred: /\/api\/search/, Trash: /\/api\/trash/ };
  for (const [name, path] of Object.entries(lists)) {
    await waiting(path, async () => {
      await ada.page.getByRole('link', { name, exact: true }).click();
      await ada.page.locator('main [aria-busy=true]').waitFor({ state: 'attached' });
      expect(await ada.page.locator('main [aria-hidden=true] p').count(), name).toBeGreaterThan(3);
    });
    await ada.page.locator('main [aria-busy=true]').waitFor({ state: 'detached' });
    await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
    await ada.row('papers').waitFor();
    await failing(path, async () => {
      await ada.page.getByRole('link', { name, exact: true }).click();
      await notice().waitFor();
    });
    await again().click();
    await notice().waitFor({ state: 'detached' });
    await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
    await ada.row('papers').waitFor();
  }
  await failing(/\/api\/search/, async () => {
    await ada.page.getByRole('combobox', { name: 'Search all files' }).fill('notes');
    await notice().waitFor();
  });
  await again().click();
  await ada.page.getByRole('row', { name: 'notes.txt' }).waitFor();
  await ada.button('End the search').click();
});

test('what is looked at says when it does not come', async () => {
  const alert = (name: string, text: string | RegExp) => ada.page.getByRole('dialog', { name, exact: true }).getByRole('alert').getByText(text).waitFor();
  await failing(/\/content/, async () => {
    for (const [name, text] of Object.entries({ 'notes.txt': log, 'dawn.png': 'This picture cannot be shown', 'paper.pdf': 'The document could not be fetched', 'sources.zip': log })) {
      await ada.row(name).dblclick();
      await alert(name, text);
      await ada.page.keyboard.press('Escape');
    }
  });
  await failing(/\/api\/tickets/, async () => {
    await ada.row('dawn.png').dblclick();
    await alert('dawn.png', log);
    await ada.page.keyboard.press('Escape');
    await ada.menu('dawn.png', 'Download');
    await ada.page.locator('.toast').getByText(log).waitFor();
  });
  ada.expected = /Service Worker registration blocked|status of 404/;
  await ada.page.goto(`${v.server.url}/files?view=gone.txt`);
  await alert('gone.txt', /not there|not found/i);
  await ada.page.keyboard.press('Escape');
});

test('what plays waits for the server, and says so', async () => {
  ada.expected = /Service Worker registration blocked|ERR_CONNECTION_REFUSED/;
  await ada.page.route(/\/content/, (route) => route.abort('connectionrefused'));
  await ada.row('tone.wav').dblclick();
  const tone = ada.page.getByRole('dialog', { name: 'tone.wav' });
  await tone.getByRole('status').getByText('The connection is lost.').waitFor();
  await ada.page.unroute(/\/content/);
  await vi.waitFor(async () => expect(await tone.locator('audio').evaluate((a: HTMLAudioElement) => a.duration)).toBe(2), soon);
  expect(await tone.getByRole('status').textContent()).toBe('');
  await ada.page.keyboard.press('Escape');
});

test('dialogs say it too, and stay usable', async () => {
  await ada.row('papers').click();
  await failing(/\/size|\/storage|\/api\/entries\/\d+$/, async () => {
    await ada.page.keyboard.press('i');
    await ada.dialog('Properties').getByText(log).first().waitFor();
    await ada.page.keyboard.press('Escape');
  });
  await failing(/\/api\/(?:me\/)?(?:sessions|app-passwords)/, async () => {
    await ada.button('Account of ada').click();
    await ada.page.getByRole('menuitem', { name: 'Settings…' }).click();
    for (const tab of ['Devices', 'Programs']) {
      await ada.dialog('Settings').getByRole('tab', { name: tab }).click();
      await ada.dialog('Settings').getByRole('alert').getByText(log).waitFor();
    }
    await ada.page.keyboard.press('Escape');
  });
  await failing(/\/children.*kind=folder/, async () => {
    await ada.row('notes.txt').click();
    await ada.menu('notes.txt', 'Move…');
    await ada.dialog('Move').getByText(log).waitFor();
    await ada.page.keyboard.press('Escape');
  });
  await failing(/\/folders$/, async () => {
    await ada.page.keyboard.press('Escape');
    await ada.button('New folder').click();
    await ada.dialog('New folder').getByLabel('Name').fill('more');
    await ada.page.keyboard.press('Enter');
    await ada.dialog('New folder').getByRole('alert').getByText(log).waitFor();
  });
  await ada.page.keyboard.press('Enter');
  await ada.row('more').waitFor();
});

test('a part of the page that does not come is told of', async () => {
  ada.expected = /Service Worker registration blocked|ERR_FAILED|Failed to fetch/;
  await ada.page.goto(`${v.server.url}/files`);
  await ada.row('papers').waitFor();
  await ada.page.route(/\/assets\/(?:KeysDialog|ZipView|MarkdownView|colours)/, (route) => route.abort());
  const told = ada.page.locator('.toast').filter({ hasText: 'A part of this page could not be loaded.' });
  await vi.waitFor(async () => {
    await ada.page.keyboard.press('?'); // a page that has just come may not hear the first one
    await told.getByRole('button', { name: 'Load again' }).waitFor({ timeout: 2_000 });
  }, soon);
  await told.getByRole('button', { name: 'Dismiss' }).click();
  await ada.row('sources.zip').dblclick();
  await ada.page.getByRole('dialog', { name: 'sources.zip' }).getByText('could not be loaded').first().waitFor();
  await ada.page.keyboard.press('Escape');
  for (const [name, text] of [['plan.md', '# Plan'], ['main.go', 'package main']] as const) {
    await ada.row(name).dblclick();
    await ada.page.getByRole('dialog', { name }).getByText(text).waitFor(); // as it is
    await ada.page.keyboard.press('Escape');
  }
  await ada.page.unrouteAll();
  await told.getByRole('button', { name: 'Load again' }).click();
  await ada.row('papers').waitFor();
  await ada.page.keyboard.press('?');
  await ada.dialog('Keyboard shortcuts').waitFor();
  await ada.page.keyboard.press('Escape');
  const thrown = ada.errors.splice(0);
  expect(thrown.filter((e) => !/dynamically imported module|Unable to preload CSS/.test(e))).toEqual([]);
});

test('a session that has ended asks for the password, and goes on in the same place', async () => {
  ada.expected = /Service Worker registration blocked|status of 401/;
  await ada.page.goto(`${v.server.url}/files/papers`);
  await ada.page.getByRole('heading', { name: 'This folder is empty' }).waitFor();
  const other = await Visitor.come(v.browser);
  await other.signIn(v.server.url, 'ada', password);
  await other.page.getByText('Connected').waitFor();
  const { sessions } = await other.api<{ sessions: { id: number | string; current: boolean }[] }>('GET', '/api/sessions');
  for (const { id, current } of sessions) if (!current) await other.api('DELETE', `/api/sessions/${id}`);
  await ada.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await ada.signIn(v.server.url, 'ada', password);
  await ada.page.getByRole('heading', { name: 'This folder is empty' }).waitFor();
  await vi.waitFor(() => expect(ada.page.url()).toBe(`${v.server.url}/files/papers`), soon);
  await other.context.close();
});
