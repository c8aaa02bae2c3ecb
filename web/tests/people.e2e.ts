/** Sharing, former contents, activity, trash and space, in a real browser, on the real binary. */
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { findings } from './axe';
import { password, soon, visit } from './visit';
import { Visitor } from './visitor';

const v = visit();
let ada: Visitor;
let bob: Visitor;
beforeAll(() => void (ada = v.ada));

/** What axe has found, in which view; told after the test. */
const serious: string[] = [];
afterEach(() => expect(serious.splice(0)).toEqual([]));

/** A view to be kept as a picture, that has to be fit for everybody. */
async function look(name: string, who = ada): Promise<void> {
  serious.push(...(await findings(who)).map((f) => `${name}: ${f}`));
  await v.picture(name, who);
}

type Named = { id: number; name: string };
const hit = (who: Visitor, name: string) => who.page.getByRole('row', { name: new RegExp(name) });

/** Goes to a folder by the tree. */
const go = (who: Visitor, name: string) => who.page.getByRole('treeitem', { name, exact: true }).click();

/** Shares from the keyboard with the first who is found. */
async function shareWith(dialog: string, name: string): Promise<void> {
  const field = ada.dialog(dialog).getByRole('combobox', { name: 'Add a user or a group' });
  await field.fill(name.slice(0, 2));
  await ada.dialog(dialog).getByRole('option', { name }).waitFor();
  await field.press('Enter');
  await ada.dialog(dialog).getByLabel(`What ${name} may do`).waitFor();
}

test('a folder is shared with a user who cannot see the way to it', async () => {
  await v.setUp();
  await ada.api('POST', '/api/entries/0/folders', { path: 'Plans/Summer/Rooms' });
  bob = await v.guest('bob');
  bob.expected = /404 .*\/api\/entries\/\d+$/; // what is not shared with him any more
  await ada.row('Plans').waitFor();
  await ada.menu('Plans', 'Share…');
  await ada.dialog('Share “Plans”').getByLabel('All users of this server may see it').uncheck();
  await ada.dialog('Share “Plans”').getByRole('button', { name: 'Done' }).click();
  await bob.row('Plans').waitFor({ state: 'detached' });

  await ada.page.getByRole('link', { name: 'Plans' }).first().click();
  await ada.menu('Summer', 'Share…');
  const dialog = ada.dialog('Share “Summer”');
  const field = dialog.getByRole('combobox', { name: 'Add a user or a group' });
  await field.fill('nobody');
  await dialog.getByText('Nobody of this name can be added.').waitFor();
  await field.fill('ada'); // herself: as if there were nobody
  await dialog.getByText('Nobody of this name can be added.').waitFor();
  await shareWith('Share “Summer”', 'bob');
  await dialog.getByLabel('What bob may do').selectOption('May read and write');
  await dialog.getByLabel('All users of this server may see it').uncheck();
  await expect.poll(() => ada.api('GET', '/api/shared-by-me'), soon).toMatchObject({ entries: [{ name: 'Summer', public: false, shares: [{ can_write: true, user: { name: 'bob' } }] }] });
  await dialog.getByRole('button', { name: 'Done' }).click();

  await bob.page.getByRole('link', { name: 'Shared with me' }).click();
  await hit(bob, 'Summer').getByText('Shared by ada').waitFor();
  await look('shared-with-me', bob);
  await hit(bob, 'Summer').getByText('Summer').click();
  await bob.page.getByRole('link', { name: 'Rooms' }).click();
  await bob.page.getByRole('heading', { name: 'This folder is empty' }).waitFor();
  await bob.page.reload();
  await bob.page.getByRole('navigation', { name: 'Place' }).getByText('Summer').click();
  await bob.row('Rooms').waitFor();
  // It takes what he uploads, though none of the names above is his to know.
  await bob.pick(await v.file('list.txt', 'rope'));
  await bob.finished('1 upload').waitFor();
  await bob.row('list.txt').waitFor();
  await bob.pick(await v.file('list.txt', 'stove'));
  await bob.dialog('“list.txt” is there already').getByText('“Summer” has a file of this name.').waitFor();
  await bob.button('Continue').click();
  await bob.row('list (1).txt').waitFor();
  await bob.drop([await v.file('photos/dawn.txt', 'red').then((path) => join(path, '..'))]);
  await bob.row('photos').dblclick();
  await bob.row('dawn.txt').waitFor();
  await bob.button('Clear uploads').click();
  await bob.page.goBack();
  await bob.row('Rooms').waitFor();
  expect(await bob.page.getByText('Plans').count()).toBe(0);
  const { entry } = await ada.api<{ entry: { size: number } }>('GET', '/api/lookup?path=/Plans/Summer/photos/dawn.txt');
  expect(entry.size).toBe(3);
  await ada.page.getByRole('link', { name: 'Shared by me' }).click();
  await hit(ada, 'Summer').waitFor();
});

test('a group gets at what is below, and the owner sees by which folder', async () => {
  const { group } = await ada.api<{ group: Named }>('POST', '/api/groups', { name: 'Family' });
  const { users } = await ada.api<{ users: Named[] }>('GET', '/api/users?query=bob');
  await ada.api('PUT', `/api/groups/${group.id}/members/${users[0]!.id}`);
  await go(ada, 'Plans');
  await ada.menu('Summer', 'Share…');
  await shareWith('Share “Summer”', 'Family');
  await look('share');
  await ada.dialog('Share “Summer”').getByRole('button', { name: 'Remove bob' }).click();
  await ada.dialog('Share “Summer”').getByLabel('What bob may do').waitFor({ state: 'detached' });
  await ada.page.keyboard.press('Escape');
  await bob.row('Rooms').waitFor(); // by the group, still
  await ada.row('Summer').dblclick();
  await ada.menu('Rooms', 'Share…');
  await ada.dialog('Share “Rooms”').getByText('May read, by “Summer”').waitFor();
  await ada.page.keyboard.press('Escape');
});

test('a share is taken back, and a folder given away', async () => {
  await ada.page.getByRole('link', { name: 'Shared by me' }).click();
  await hit(ada, 'Summer').click({ button: 'right' });
  await ada.page.getByRole('menuitem', { name: 'Share…' }).click();
  await ada.dialog('Share “Summer”').getByRole('button', { name: 'Remove Family' }).click();
  await ada.dialog('Share “Summer”').getByText('Nobody yet.').waitFor();
  await bob.page.getByRole('heading', { name: 'This folder is not there' }).waitFor();
  await ada.dialog('Share “Summer”').getByRole('button', { name: 'Give to another user…' }).click();
  const give = ada.dialog('Give “Summer” away');
  await give.getByRole('combobox', { name: 'New owner' }).fill('bob');
  await give.getByRole('option', { name: 'bob' }).click();
  await give.getByRole('button', { name: 'Give away' }).click();
  await ada.page.getByText('“Summer” belongs to bob now.').waitFor();
  await expect.poll(() => bob.api('GET', '/api/shared-by-me'), soon).toMatchObject({ entries: [{ name: 'Summer' }] });
});

test('former contents come back, come down, and go for good', async () => {
  await go(ada, 'All files');
  await ada.pick(await v.file('notes.txt', 'the first draft'));
  await ada.finished('1 upload').waitFor();
  await ada.pick(await v.file('notes.txt', 'the second draft, longer'));
  await ada.dialog('“notes.txt” is there already').getByRole('radio', { name: 'Replace' }).check();
  await ada.button('Continue').click();
  await ada.finished('2 uploads').waitFor();
  await ada.button('Clear uploads').click();
  await ada.row('notes.txt').click();
  await ada.page.keyboard.press('i');
  const versions = ada.dialog('Properties').getByRole('region', { name: 'Versions' });
  await versions.getByText('15 B · replaced by ada').waitFor();
  await look('versions');
  const down = await ada.download(() => versions.getByRole('button', { name: /^Download notes\.txt as it was/ }).click());
  expect(down).toMatchObject({ name: 'notes.txt', sha256: '942854ac803d5a3c54ac30beaaddd5b344181aa5bccb071c4e3652c2ed75359e' });
  await versions.getByRole('button', { name: /^Bring back/ }).click();
  await versions.getByText('24 B · replaced by ada').waitFor();
  await versions.getByRole('button', { name: /for good$/ }).click();
  await ada.dialog('Delete this version for good?').getByRole('button', { name: 'Delete for good' }).click();
  await versions.getByText('It has none.').waitFor();
  await ada.page.keyboard.press('Escape');
  await ada.cell('notes.txt', '15 B').waitFor();
});

test('a folder tells what happened in it, while it happens', async () => {
  await ada.rename('notes.txt', 'ideas.txt');
  await ada.page.keyboard.press('Escape');
  await ada.button('Activity').click();
  const dialog = ada.dialog('Activity in “All files”');
  await dialog.getByText('ada renamed “notes.txt” to “ideas.txt”').waitFor();
  await dialog.getByText('ada changed “notes.txt”').first().waitFor();
  await dialog.getByText('ada added “Rooms”').waitFor();
  await bob.api('POST', '/api/entries/0/folders', { name: 'Of bob' });
  await dialog.getByText('bob added “Of bob”').waitFor();
  await look('activity');
  await dialog.getByLabel('In the folders below, too').uncheck();
  await dialog.getByText('ada added “Rooms”').waitFor({ state: 'detached' });
  await ada.page.keyboard.press('Escape');
});

test('the trash tells when things go, and the space what they take', async () => {
  await ada.row('ideas.txt').click();
  await ada.page.keyboard.press('Delete');
  await ada.dialog('Delete “ideas.txt”?').getByRole('button', { name: 'Delete' }).click();
  const space = ada.page.getByRole('region', { name: 'Space' });
  await space.getByText('Trash 15 B').waitFor();
  await ada.page.getByRole('link', { name: 'Trash' }).click();
  await ada.page.getByRole('listitem').filter({ hasText: 'ideas.txt' }).getByText(/goes for good/).waitFor();
  await look('trash-with-days');
  await ada.button('Empty the trash').click();
  await ada.dialog('Empty the trash?').getByRole('button', { name: 'Delete for good' }).click();
  await space.getByText('Trash').waitFor({ state: 'detached' });
});

test('who is full is told so, before and when something is sent', async () => {
  const { users } = await ada.api<{ users: Named[] }>('GET', '/api/users?query=bob');
  await go(bob, 'All files');
  await ada.api('PUT', `/api/quotas/${users[0]!.id}`, { bytes: 2048 + 12, files: 0 }); // 12 are in the folder that was hidden from him
  await bob.pick(await v.file('film.bin', 2048));
  await bob.finished('1 upload').waitFor();
  await bob.pick(await v.file('more.bin', 1));
  await bob.upload('more.bin').getByText('there is no room for it: you may store 2.0 KiB').waitFor();
  const space = bob.page.getByRole('region', { name: 'Space' });
  await space.getByText('Full: nothing more can be stored.').waitFor();
  await space.getByText('2.0 KiB of 2.0 KiB used').waitFor();
  await look('full', bob);
  await space.getByRole('button', { name: 'What takes the space?' }).click();
  const usage = bob.dialog('What takes the space');
  await usage.getByRole('list', { name: 'By folder' }).getByText('Hidden folders').waitFor();
  await usage.getByRole('list', { name: 'By folder' }).getByText('12 B · 1 %').waitFor();
  await usage.getByRole('list', { name: 'By kind' }).getByText('2.0 KiB · 99 %').waitFor();
  await look('usage', bob);
  await bob.page.keyboard.press('Escape');
});

test('on a phone, in the dark, in German', async () => {
  const phone = await Visitor.come(v.browser, { viewport: { width: 360, height: 740 }, colorScheme: 'dark', locale: 'de-DE', hasTouch: true });
  await phone.page.goto(v.server.url);
  await phone.page.getByLabel('Name').fill('ada');
  await phone.page.getByLabel('Passwort').fill(password);
  await phone.button('Anmelden').click();
  await phone.row('Plans').waitFor();
  const fits = async () => expect(await phone.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  await phone.row('Plans').getByRole('button', { name: 'Aktionen' }).tap();
  await phone.page.getByRole('menuitem', { name: 'Teilen …' }).tap();
  await phone.dialog('„Plans“ teilen').getByText('Noch niemand.').waitFor();
  await look('phone-share', phone);
  await fits();
  await phone.page.keyboard.press('Escape');
  await phone.page.keyboard.press('Escape'); // nothing is selected then
  await phone.button('Verlauf').tap();
  await phone.dialog('Verlauf von „Alle Dateien“').getByText('ada hat „Plans“ hinzugefügt').waitFor();
  await look('phone-activity', phone);
  await fits();
  await phone.page.keyboard.press('Escape');
  await phone.page.goto(`${v.server.url}/shared-by-me`);
  await phone.page.getByRole('heading', { name: 'Du teilst nichts' }).waitFor();
  await fits();
  await phone.page.goto(`${v.server.url}/trash`);
  await phone.page.getByRole('heading', { name: 'Der Papierkorb ist leer' }).waitFor();
  expect(phone.errors).toEqual([]);
  await phone.context.close();
  expect(bob.errors).toEqual([]);
});
