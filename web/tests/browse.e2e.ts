/** Finding one's way and arranging things, in a real browser, on the real binary. */
import type { Locator } from 'playwright-core';
import { beforeAll, expect, test, vi } from 'vitest';
import { png } from './samples';
import { soon, visit } from './visit';
import { Visitor } from './visitor';

const v = visit();
let ada: Visitor;
beforeAll(() => void (ada = v.ada));

const branch = (name: string) => ada.page.getByRole('treeitem', { name, exact: true });
const path = () => decodeURIComponent(new URL(ada.page.url()).pathname);
const list = async (names: string[]) => vi.waitFor(async () => expect(await ada.names()).toEqual(names), soon);
const toast = (text: string) => ada.page.locator('.toast').filter({ hasText: text });

test('a cloud with some folders', async () => {
  await v.setUp();
  const content = { 'photos/2025/dawn.png': png(60, 40), 'photos/2026/dusk.png': png(60, 40), 'papers/plan.txt': 'plan', 'papers/big.bin': Buffer.alloc(2 << 20, 1), 'شرح المشروع.txt': 'rtl' };
  for (const [name, bytes] of Object.entries(content)) await v.file(name, bytes);
  await ada.drop(['photos', 'papers', 'شرح المشروع.txt'].map((name) => `${v.disk}/${name}`));
  await ada.finished('5 uploads').waitFor();
  await ada.button('Clear uploads').click();
  await list(['papers', 'photos', 'شرح المشروع.txt']);
});

test('the tree unfolds, follows changes, and is worked by keyboard', async () => {
  await branch('photos').getByRole('button', { includeHidden: true }).click();
  await branch('2025').click();
  await list(['dawn.png']);
  expect(path()).toBe('/files/photos/2025');
  expect(await branch('2025').getAttribute('aria-current')).toBe('page');
  await branch('2025').focus();
  await ada.page.keyboard.press('ArrowLeft');
  await ada.page.keyboard.press('ArrowUp');
  await ada.page.keyboard.press('Enter');
  await list(['plan.txt', 'big.bin'].sort());
  await ada.page.keyboard.press('End');
  const focused = () => ada.page.evaluate(() => document.activeElement?.textContent?.trim());
  expect(await focused()).toBe('2026');
  await ada.page.keyboard.press('ArrowLeft');
  expect(await focused()).toBe('photos');
  await ada.page.keyboard.press('ArrowLeft');
  await branch('2025').waitFor({ state: 'detached' });
  await ada.page.keyboard.press('ArrowRight');
  await branch('2025').waitFor();

  const grace = await v.guest('grace');
  await grace.api('POST', '/api/entries/0/folders', { name: 'from grace' });
  await branch('from grace').waitFor();
  await grace.context.close();
  await ada.page.goBack();
  await list(['dawn.png']);
  await ada.page.goForward();
  await list(['big.bin', 'plan.txt']);
  await ada.page.goBack();
  await ada.page.goBack();
  await list(['from grace', 'papers', 'photos', 'شرح المشروع.txt']);
  await ada.page.getByText('2.0 MiB', { exact: true }).waitFor(); // what all takes
});

test('entries are dragged onto the tree, and the move is taken back', async () => {
  await ada.row('شرح المشروع.txt').dragTo(branch('papers'));
  await list(['from grace', 'papers', 'photos']);
  await toast('Moved 1 item to “papers”.').getByRole('button', { name: 'Undo' }).click();
  await list(['from grace', 'papers', 'photos', 'شرح المشروع.txt']);
  await ada.row('شرح المشروع.txt').dragTo(branch('2026'));
  await list(['from grace', 'papers', 'photos']);
  await ada.page.keyboard.press('Control+z');
  await list(['from grace', 'papers', 'photos', 'شرح المشروع.txt']);
});

test('a rename is taken back; a name from right to left breaks no row', async () => {
  await ada.rename('from grace', 'to grace');
  await branch('to grace').waitFor();
  await toast('“from grace” is called “to grace” now.').getByRole('button', { name: 'Undo' }).click();
  await ada.row('from grace').waitFor();
  const begins = (name: string) =>
    ada.row(name).locator('[dir=auto]').evaluate((e) => {
      const text = document.createRange();
      text.selectNodeContents(e);
      return text.getBoundingClientRect().left;
    });
  expect(Math.abs((await begins('شرح المشروع.txt')) - (await begins('papers')))).toBeLessThan(1);
  await ada.button('Show as tiles').click();
  const tile = async (name: string) => (await begins(name)) - (await ada.row(name).boundingBox())!.x;
  expect(Math.abs((await tile('شرح المشروع.txt')) - (await tile('papers')))).toBeLessThan(1);
  await ada.button('Show as list').click();
});

test('things are copied, cut and pasted by keys and by the menu', async () => {
  await ada.row('papers').click();
  await ada.page.keyboard.press('Control+c');
  await ada.page.keyboard.press('Control+v'); // beside itself
  await list(['from grace', 'papers', 'papers (1)', 'photos', 'شرح المشروع.txt']);
  await ada.row('papers (1)').click();
  await ada.page.keyboard.press('Control+x');
  await vi.waitFor(async () => expect(Number(await ada.row('papers (1)').evaluate((r) => getComputedStyle(r).opacity))).toBe(0.5), soon);
  await ada.menu('photos', 'Paste');
  await list(['from grace', 'papers', 'photos', 'شرح المشروع.txt']);
  await ada.page.getByRole('link', { name: 'photos' }).click();
  await list(['2025', '2026', 'papers (1)']);
  await ada.page.getByRole('row', { name: 'papers (1)' }).getByRole('link').click();
  await list(['big.bin', 'plan.txt']);
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
});

test('columns sort, folders first, and the order is remembered', async () => {
  await ada.page.goto(`${v.server.url}/files/papers`);
  const sort = (name: string) => ada.page.getByRole('columnheader').getByRole('button', { name }).click();
  const sorted = (name: string) => ada.page.getByRole('columnheader', { name }).getAttribute('aria-sort');
  await list(['big.bin', 'plan.txt']);
  await sort('Name');
  await list(['plan.txt', 'big.bin']);
  expect(await sorted('Name')).toBe('descending');
  await sort('Size');
  await list(['plan.txt', 'big.bin']);
  await sort('Size');
  await list(['big.bin', 'plan.txt']);
  await ada.page.reload();
  await list(['big.bin', 'plan.txt']);
  expect(await sorted('Size')).toBe('descending');
  await sort('Changed');
  expect(await sorted('Changed')).toBe('ascending');
  await sort('Name');
  await list(['big.bin', 'plan.txt']);
  expect(await ada.page.getByRole('columnheader', { name: 'Owner' }).count()).toBe(0);

  // Where somebody else's things are, too, they can be told apart.
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
  await list(['from grace', 'papers', 'photos', 'شرح المشروع.txt']);
  await ada.cell('from grace', 'grace').waitFor();
  await ada.cell('papers', 'Me').waitFor();
  await sort('Owner');
  await vi.waitFor(async () => expect((await ada.names()).indexOf('from grace')).toBe(2), soon);
  await sort('Owner');
  await vi.waitFor(async () => expect((await ada.names()).indexOf('from grace')).toBe(0), soon);
  expect(await sorted('Owner')).toBe('descending');
  await sort('Name');
  await list(['from grace', 'papers', 'photos', 'شرح المشروع.txt']);
});

test('mouse and keys select, and menus are for what is selected', async () => {
  await ada.row('from grace').click();
  await ada.row('photos').click({ modifiers: ['Shift'] });
  await ada.page.getByText('3 selected').waitFor();
  await ada.row('papers').click({ modifiers: ['Control'] });
  await ada.page.getByText('2 selected').waitFor();
  await ada.row('photos').click({ button: 'right' });
  await ada.page.getByRole('menu', { name: '2 items' }).waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.keyboard.press('Control+a');
  await ada.page.getByText('4 selected').waitFor();
  await ada.page.keyboard.press('Shift+F10');
  await ada.page.getByRole('menu', { name: '4 items' }).waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.keyboard.press('Escape');
  await ada.button('Upload files').waitFor();
});

test('stars and what changed last are places of their own', async () => {
  await ada.menu('papers', 'Star');
  await ada.row('papers').getByTitle('Starred').waitFor();
  await ada.page.getByRole('link', { name: 'Starred' }).click();
  const starred = ada.page.getByRole('grid');
  await starred.getByRole('row', { name: 'papers' }).waitFor();
  expect(path()).toBe('/starred');
  await ada.page.reload();
  await starred.getByRole('row', { name: 'papers' }).click({ button: 'right' });
  await ada.page.getByRole('menuitem', { name: 'Rename' }).click();
  await ada.dialog('Rename').getByLabel('Name').fill('documents');
  await ada.page.keyboard.press('Enter');
  await starred.getByRole('row', { name: 'documents' }).waitFor();
  await starred.getByRole('row', { name: 'documents' }).getByRole('button', { name: 'documents' }).first().click();
  await list(['big.bin', 'plan.txt']);
  await ada.page.goBack();
  await ada.page.getByRole('link', { name: 'Recent' }).click();
  await ada.page.getByRole('heading', { name: 'Recent' }).waitFor();
  const recent = ada.page.getByRole('grid');
  await recent.getByRole('row', { name: 'plan.txt' }).first().waitFor();
  await ada.api('POST', '/api/copy', { ids: [(await ada.api<{ entry: { id: number } }>('GET', '/api/lookup?path=/documents/plan.txt')).entry.id], parent: 0, on_conflict: 'rename' });
  await vi.waitFor(async () => expect(await recent.getByRole('row').first().textContent()).toMatch(/^\s*plan\.txt\s*All files/), soon);
});

test('a search is narrowed, and stands in the address', async () => {
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
  const results = ada.page.getByRole('grid', { name: 'Results' });
  await ada.page.getByRole('combobox', { name: 'Search all files' }).fill('d');
  await results.getByRole('row', { name: 'dawn.png' }).waitFor();
  await ada.page.getByLabel('Kind').selectOption('Image');
  await vi.waitFor(async () => expect(await results.getByRole('row').count()).toBe(2), soon);
  expect(new URL(ada.page.url()).search).toBe('?q=d&kind=image');
  await ada.page.reload();
  await vi.waitFor(async () => expect(await results.getByRole('row').count()).toBe(2), soon);
  await ada.page.getByLabel('Kind').selectOption('Any kind');
  await ada.page.getByLabel('Size').selectOption('1 to 100 MiB');
  await ada.page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  await ada.page.getByRole('combobox', { name: 'Search all files' }).fill('');
  await vi.waitFor(async () => expect(await results.getByRole('row').count()).toBe(2), soon); // big.bin, and its copy
  await ada.page.getByLabel('Changed').selectOption('In the last 24 hours');
  await ada.page.getByLabel('Owner').selectOption('grace');
  await ada.page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  await ada.page.getByLabel('Size').selectOption('Any size');
  await ada.page.getByLabel('Kind').selectOption('Folder');
  await results.getByRole('row', { name: 'from grace' }).waitFor();
  expect(await results.getByRole('row').count()).toBe(1);
  await ada.button('End the search').click();
  await list(['documents', 'from grace', 'photos', 'plan.txt', 'شرح المشروع.txt']);
});

test('what is deleted comes back, from the message or from the trash', async () => {
  const remove = async () => {
    await ada.row('plan.txt').click();
    await ada.page.keyboard.press('Delete');
    await ada.dialog('Delete “plan.txt”?').getByText('will go to the trash').waitFor();
    await ada.dialog('Delete “plan.txt”?').getByRole('button', { name: 'Delete' }).click();
    await list(['documents', 'from grace', 'photos', 'شرح المشروع.txt']);
  };
  await remove();
  await toast('“plan.txt” is deleted.').getByRole('button', { name: 'Undo' }).click();
  await ada.row('plan.txt').waitFor();
  await remove();
  await ada.page.getByRole('link', { name: 'Trash' }).click();
  expect(path()).toBe('/trash');
  await ada.page.getByRole('listitem').filter({ hasText: 'plan.txt' }).getByText('All files · 4 B · deleted').waitFor();
  await ada.button('Restore plan.txt').click();
  await ada.page.getByRole('heading', { name: 'The trash is empty' }).waitFor();
  await ada.page.goBack();
  await ada.row('plan.txt').waitFor();
  await ada.api('POST', '/api/entries/0/folders', { name: 'old drafts' });
  await ada.menu('old drafts', 'Delete…');
  await ada.dialog('Delete “old drafts”?').getByRole('button', { name: 'Delete' }).click();
  await ada.row('old drafts').waitFor({ state: 'detached' });
  await ada.page.getByRole('link', { name: 'Trash' }).click();
  await ada.page.getByRole('listitem').filter({ hasText: 'old drafts' }).waitFor();
  await ada.page.goBack();
  await ada.row('plan.txt').waitFor();
});

test('properties tell the owner where the chunks lie', async () => {
  await ada.row('plan.txt').click();
  await ada.page.keyboard.press('i');
  await ada.dialog('Properties').getByText(/^1 chunk in 1 message, channel \d+/).waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.keyboard.press('Escape');
});

test('the badge tells what the services do', async () => {
  await ada.button(/^3 upload services/).click();
  await ada.page.getByRole('heading', { name: 'Upload services' }).waitFor();
  expect(await ada.page.getByRole('progressbar', { name: /^Service/ }).count()).toBe(3);
  await ada.page.keyboard.press('Escape');
});

test('what goes wrong is told over the dialog that is open, and can be put away', async () => {
  await ada.row('plan.txt').click();
  await ada.page.keyboard.press('Control+c'); // a message
  await ada.page.keyboard.press('?');
  await ada.dialog('Keyboard shortcuts').waitFor();
  const told = toast('1 item copied');
  const at = (await told.boundingBox())!;
  const top = await ada.page.evaluate(({ x, y }) => document.elementFromPoint(x, y)?.closest('.toast') !== null, { x: at.x + 20, y: at.y + at.height / 2 });
  expect(top).toBe(true);
  await told.getByRole('button', { name: 'Dismiss' }).click();
  await told.waitFor({ state: 'detached' });
  await ada.dialog('Keyboard shortcuts').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.page.keyboard.press('Escape');
});

test('server refusals are said in the language of the page', async () => {
  await ada.page.evaluate(() => localStorage.setItem('discord-cloud-language', 'de'));
  await ada.page.reload();
  await ada.row('photos').waitFor();
  ada.expected = /status of 409/;
  await ada.button('Neuer Ordner').click();
  await ada.dialog('Neuer Ordner').getByLabel('Name').fill('photos');
  await ada.page.keyboard.press('Enter');
  await ada.dialog('Neuer Ordner').getByText('Den Namen „photos“ gibt es schon.').waitFor();
  await ada.page.keyboard.press('Escape');
  ada.expected = undefined;
  await ada.page.evaluate(() => localStorage.setItem('discord-cloud-language', 'en'));
  await ada.page.reload();
  await ada.row('photos').waitFor();
});

test('files from outside go into the folder that they are dropped on', async () => {
  const aim = (name: string) => () => ada.page.getByText(`Drop to upload to “${name}”`).waitFor();
  const drop = async (name: string, into: string, on: Locator) => {
    await ada.drop([await v.file(name, name)], aim(into), on);
    await vi.waitFor(async () => expect(await ada.finished('1 upload').count()).toBe(1), soon);
    const { entries } = await ada.api<{ entries: { path: string }[] }>('GET', `/api/search?q=${name}`);
    await ada.button('Clear uploads').click();
    await ada.page.getByText('Drop to upload to').waitFor({ state: 'detached' });
    return entries.map((e) => e.path);
  };
  expect(await drop('onto-a-row.txt', 'documents', ada.row('documents'))).toEqual(['/documents']);
  expect(await drop('between-rows.txt', 'All files', ada.row('plan.txt'))).toEqual(['/']); // a file takes none
  await ada.button('Show as tiles').click();
  expect(await drop('onto-a-tile.txt', 'photos', ada.row('photos'))).toEqual(['/photos']);
  await ada.button('Show as list').click();
  await branch('photos').getByRole('button', { includeHidden: true }).click();
  expect(await drop('onto-the-tree.txt', '2026', branch('2026'))).toEqual(['/photos/2026']);
  await branch('2026').click();
  await list(['dusk.png', 'onto-the-tree.txt']);
  expect(await drop('onto-the-path.txt', 'photos', ada.page.getByRole('navigation', { name: 'Place' }).getByRole('link', { name: 'photos' }))).toEqual(['/photos']);

  // Of a long way the middle is behind a button.
  const way = ada.page.getByRole('navigation', { name: 'Place' });
  const { entry } = await ada.api<{ entry: { id: number } }>('GET', '/api/lookup?path=/photos/2026');
  await ada.api('POST', `/api/entries/${entry.id}/folders`, { path: 'a/b/c' });
  await ada.page.goto(`${v.server.url}/files/photos/2026/a/b/c`);
  await way.getByRole('heading', { name: 'c' }).waitFor();
  expect(await way.getByRole('link').allTextContents()).toEqual(['All files', 'b']);
  await way.getByRole('button', { name: 'Folders between' }).click();
  expect(await ada.page.getByRole('menuitem').allTextContents()).toEqual(['photos', '2026', 'a'].map((name) => expect.stringContaining(name)));
  await ada.page.getByRole('menuitem', { name: 'photos' }).click();
  await ada.row('2026').waitFor();
  expect(path()).toBe('/files/photos');

  // Where no folder is shown, those of the tree still take them, and nothing else does.
  await ada.page.getByRole('link', { name: 'Recent' }).click();
  await ada.page.getByRole('heading', { name: 'Recent' }).waitFor();
  await ada.drop([await v.file('nowhere.txt', 'x')], () => ada.page.getByText('Drop on a folder to upload there').waitFor());
  expect(await drop('from-recent.txt', 'documents', branch('documents'))).toEqual(['/documents']);
  expect((await ada.api<{ entries: unknown[] }>('GET', '/api/search?q=nowhere')).entries).toEqual([]);
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
  await ada.row('photos').waitFor();
});

test('on a phone the tree is a drawer, fingers select, and nothing sticks out', async () => {
  const phone = await Visitor.come(v.browser, { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true, reducedMotion: 'reduce' });
  await phone.signIn(v.server.url, 'ada', 'correct horse');
  await phone.row('photos').waitFor();
  await phone.button('Folders and views').tap();
  expect(await phone.page.locator('dialog[open]').evaluate((d) => getComputedStyle(d).animationDuration)).toBe('0.001s'); // as was wished
  await phone.page.getByRole('treeitem', { name: 'documents' }).tap();
  await phone.row('big.bin').waitFor();
  const order = async (what: string, names: string[]) => {
    await phone.page.getByRole('columnheader').getByRole('button').tap();
    await phone.page.getByRole('menuitemcheckbox', { name: what }).tap();
    await vi.waitFor(async () => expect((await phone.names()).filter((n) => /^(?:big|plan)/.test(n))).toEqual(names), soon);
  };
  await order('Size', ['plan.txt', 'big.bin']);
  await order('Descending', ['big.bin', 'plan.txt']);
  await order('Ascending', ['plan.txt', 'big.bin']);
  await order('Name', ['big.bin', 'plan.txt']);
  await phone.page.getByRole('checkbox', { name: 'Select big.bin' }).tap();
  await phone.row('plan.txt').tap();
  await phone.page.getByText('2 selected').waitFor();
  await phone.button('Select nothing').tap();

  // A finger that rests on a row selects it; after that each touch does.
  await phone.rest(phone.row('big.bin'));
  await phone.page.getByText('1 selected').waitFor();
  expect(await phone.page.getByRole('menu').count()).toBe(0);
  await phone.row('plan.txt').tap();
  await phone.page.getByText('2 selected').waitFor();
  await phone.rest(phone.row('plan.txt'));
  await phone.page.getByText('1 selected').waitFor();
  expect(phone.page.url()).not.toContain('view=');
  await phone.button('Folders and views').tap();
  await phone.page.keyboard.press('Escape');
  expect(await phone.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  await phone.button('Select nothing').tap();
  await phone.rename('plan.txt', 'plan b.txt');
  expect(phone.errors).toEqual([]);
  await phone.context.close();
});

test('a large screen is used, and its DOM stays small', async () => {
  const wide = await Visitor.come(v.browser, { viewport: { width: 3840, height: 2160 } });
  await wide.signIn(v.server.url, 'ada', 'correct horse');
  await wide.row('photos').waitFor();
  await wide.button('Show as tiles').click();
  await wide.row('photos').waitFor();
  expect(await wide.page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight])).toEqual([3840, 2160]);
  expect(wide.errors).toEqual([]);
  await wide.context.close();
});
