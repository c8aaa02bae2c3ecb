/**
 * The page in a real browser, on the real binary. Each test goes on where the
 * one before has stopped, as a visit does.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { wavHead } from './samples';
import { MiB, soon, visit } from './visit';
import { sha256, Visitor } from './visitor';

const v = visit();
let ada: Visitor;
beforeAll(() => void (ada = v.ada));
const file = (path: string, size: number) => v.file(path, size);

test('the first visitor becomes the administrator', async () => {
  await v.setUp();
  await ada.page.getByRole('heading', { name: 'Your cloud is empty' }).waitFor();
  expect(ada.page.url()).not.toContain('setup');
});

test('a file of several parts goes up and comes down as it was', async () => {
  const path = await file('film.mp4', 25 * MiB);
  await ada.pick(path);
  await ada.finished('1 upload').waitFor();
  await ada.cell('film.mp4', '25 MiB').waitFor();
  await ada.cell('film.mp4', 'Only me').waitFor();
  const down = await ada.download(() => ada.menu('film.mp4', 'Download'));
  expect(down).toEqual({ name: 'film.mp4', sha256: await sha256(path) });
});

test('folders are dropped with all that is in them', async () => {
  await file('trip/day 1/a.txt', 1_000);
  await file('trip/day 1/b.txt', 2_000);
  await file('trip/ünïcode ☕.txt', 0);
  await mkdir(join(v.disk, 'trip/empty'));
  await ada.drop([join(v.disk, 'trip')], () => ada.page.getByText('Drop to upload to').waitFor());
  await ada.finished('4 uploads').waitFor();
  await ada.page.getByRole('link', { name: 'trip' }).click();
  await vi.waitFor(async () => expect(await ada.names()).toEqual(['day 1', 'empty', 'ünïcode ☕.txt']), soon);
  expect(decodeURI(ada.page.url())).toBe(`${v.server.url}/files/trip`);
  await ada.page.getByRole('link', { name: 'day 1' }).click();
  await vi.waitFor(async () => expect(await ada.names()).toEqual(['a.txt', 'b.txt']), soon);
  await ada.page.goBack();
  await ada.page.getByRole('heading', { name: 'trip' }).waitFor();
  await ada.page.goBack();
  await ada.row('film.mp4').waitFor();
});

test('a taken name is asked about, once for all if wanted', async () => {
  await ada.button('Clear uploads').click();
  const a = await file('a.txt', 11);
  const b = await file('b.txt', 12);
  await ada.pick([a, b]);
  await ada.finished('2 uploads').waitFor();
  await file('a.txt', 21);
  await file('b.txt', 22);
  await ada.button('Clear uploads').click();
  await ada.pick([a, b]);
  await ada.dialog('is there already').getByRole('radio', { name: 'Keep both' }).check();
  await ada.dialog('is there already').getByLabel('Do this for all files').check();
  await ada.button('Continue').click();
  await ada.finished('2 uploads').waitFor();
  expect(await ada.names()).toEqual(['trip', 'a (1).txt', 'a.txt', 'b (1).txt', 'b.txt', 'film.mp4']);
  await ada.cell('a.txt', '11 B').waitFor();
  await ada.cell('a (1).txt', '21 B').waitFor();

  await file('a.txt', 31);
  await ada.pick(a);
  await ada.dialog('is there already').getByRole('radio', { name: 'Replace' }).check();
  await ada.button('Continue').click();
  await ada.cell('a.txt', '31 B').waitFor();
  await ada.pick(b);
  await ada.dialog('is there already').getByRole('radio', { name: 'Skip' }).check();
  await ada.button('Continue').click();
  await ada.upload('b.txt').getByText('Skipped').waitFor();
  await ada.cell('b.txt', '12 B').waitFor();
  await ada.button('Clear uploads').click();
});

test('folders are made, files renamed and moved, by keyboard too', async () => {
  await ada.button('New folder').click();
  await ada.dialog('New folder').getByLabel('Name').fill('Archive');
  await ada.page.keyboard.press('Enter');
  await ada.row('Archive').waitFor();

  await ada.row('b.txt').click();
  await ada.page.keyboard.press('F2');
  const name = ada.page.getByRole('textbox', { name: 'New name of' });
  await vi.waitFor(async () => expect(await name.evaluate((e: HTMLInputElement) => e.value.slice(e.selectionStart!, e.selectionEnd!))).toBe('b'), soon);
  await ada.page.keyboard.type('letter');
  await ada.page.keyboard.press('Enter');
  await ada.row('letter.txt').waitFor();

  ada.expected = /status of 409/;
  await ada.page.keyboard.press('F2');
  await name.fill('a.txt');
  await ada.page.keyboard.press('Enter');
  await ada.page.getByRole('grid').getByRole('alert').waitFor();
  const focused = () => ada.page.evaluate(() => document.activeElement?.getAttribute('role'));
  await ada.page.keyboard.press('Escape');
  await name.waitFor({ state: 'detached' });
  expect(await focused()).toBe('grid');
  ada.expected = undefined;

  await ada.menu('letter.txt', 'Rename');
  await name.waitFor();
  await ada.page.keyboard.press('Escape');
  await name.waitFor({ state: 'detached' });
  expect(await focused()).toBe('grid');

  await ada.menu('letter.txt', 'Move…');
  await ada.dialog('Move').getByRole('button', { name: 'Archive' }).click();
  await ada.button('Move here').click();
  await ada.row('letter.txt').waitFor({ state: 'detached' });

  await ada.row('a (1).txt').dragTo(ada.row('Archive'));
  await ada.row('a (1).txt').waitFor({ state: 'detached' });
  await ada.page.getByRole('link', { name: 'Archive' }).click();
  await vi.waitFor(async () => expect(await ada.names()).toEqual(['a (1).txt', 'letter.txt']), soon);
  await ada.row('a (1).txt').dragTo(ada.page.getByRole('navigation', { name: 'Place' }).getByRole('link', { name: 'All files' }));
  await ada.row('a (1).txt').waitFor({ state: 'detached' });
  const zip = await ada.download(async () => {
    await ada.page.getByRole('navigation', { name: 'Place' }).getByRole('link', { name: 'All files' }).click();
    await ada.menu('Archive', 'Download as zip');
  });
  expect(zip.name).toBe('Archive.zip');
});

test('deleting names what goes, and takes it away', async () => {
  await ada.row('trip').click();
  await ada.row('a (1).txt').click({ modifiers: ['Control'] });
  await ada.page.keyboard.press('Delete');
  await ada.dialog('Delete 2 items?').getByText('3 folders and 4 files, 3.0 KiB').waitFor();
  await ada.dialog('Delete').getByRole('button', { name: 'Delete' }).click();
  await vi.waitFor(async () => expect(await ada.names()).toEqual(['Archive', 'a.txt', 'b (1).txt', 'film.mp4']), soon);
});

test('others see changes as they happen, and only what is theirs to see', async () => {
  await ada.api('POST', '/api/users', { username: 'grace', password: 'battery staple', administrator: false });
  const grace = await Visitor.come(v.browser, { viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true });
  await grace.signIn(v.server.url, 'grace', 'battery staple');
  await grace.row('Archive').waitFor();
  expect(await grace.names()).toEqual(['Archive']);
  await ada.menu('film.mp4', 'Make visible to all users');
  await grace.row('film.mp4').waitFor();
  await ada.rename('Archive', 'Attic');
  await grace.row('Attic').waitFor();
  expect(await grace.names()).toEqual(['Attic', 'film.mp4']);

  // A finger opens folders; whoever stands in one follows it, and leaves when it goes.
  await grace.row('Attic').tap();
  await grace.page.getByRole('heading', { name: 'This folder is empty' }).waitFor();
  await ada.rename('Attic', 'Loft');
  await vi.waitFor(() => expect(grace.page.url()).toBe(`${v.server.url}/files/Loft`), soon);
  await ada.menu('Loft', 'Delete…');
  await ada.dialog('Delete “Loft”?').getByText('1 folder and 1 file').waitFor();
  await ada.dialog('Delete').getByRole('button', { name: 'Delete' }).click();
  await vi.waitFor(() => expect(grace.page.url()).toBe(`${v.server.url}/files`), soon);

  await grace.button('Actions for film.mp4').tap();
  expect(await grace.page.getByRole('menuitem', { name: 'Delete…' }).getAttribute('aria-disabled')).toBe('true');
  await grace.page.keyboard.press('Escape');
  await ada.menu('film.mp4', 'Make visible to me only');
  await grace.page.getByRole('heading', { name: 'Your cloud is empty' }).waitFor();
  expect(grace.errors).toEqual([]);
  await grace.context.close();
});

/** Each request goes to the manager that did not have the last. */
const managers = process.env['DISCORD_CLOUD_ON'] === 'managers';

test('an upload, a list and a recording survive that the server is killed', async () => {
  await ada.pick(await v.file('concert.wav', Buffer.concat([wavHead(24 * MiB, 48_000, 2, 16), Buffer.alloc(24 * MiB)])));
  await ada.finished('1 upload').waitFor();
  await ada.button('Clear uploads').click();
  const listener = await Visitor.come(v.browser);
  await listener.signIn(v.server.url, 'ada', 'correct horse');
  await listener.row('concert.wav').dblclick();
  const recording = listener.page.getByRole('dialog', { name: 'concert.wav' });
  const at = () => recording.locator('audio').evaluate((a: HTMLAudioElement) => a.currentTime);
  await recording.locator('audio').evaluate((a: HTMLAudioElement) => ((a.muted = true), a.play()));
  await vi.waitFor(async () => expect(await at()).toBeGreaterThan(0), soon);

  const visits = () => Promise.all([ada, listener].map((x) => x.page.evaluate(() => performance.timeOrigin)));
  const before = await visits();
  let connections = 0;
  for (const x of [ada, listener]) x.page.on('websocket', () => connections++);
  const path = await file('backup.tar', 45 * MiB);
  await ada.throttle(12 * MiB);
  await ada.pick(path);
  const progress = ada.upload('backup.tar').getByRole('progressbar');
  const sent = () => progress.evaluate((e: HTMLProgressElement) => e.value);
  await vi.waitFor(async () => expect(await sent()).toBeGreaterThan(34 * MiB), soon);
  ada.expected = listener.expected = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_CONTENT_LENGTH|WebSocket|status of 50[23]/;
  await listener.api('POST', '/api/entries/0/folders', { name: 'Acknowledged' });
  const far = 100; // s, of 131
  const seek = () => recording.locator('audio').evaluate((a: HTMLAudioElement, far) => (a.currentTime = far), far);
  if (managers) {
    await v.server.killManagers();
    await seek();
  } else {
    await v.server.kill();
    await ada.page.getByText(/Reconnecting in \d+ s/).waitFor();
    await ada.upload('backup.tar').getByText('Interrupted').waitFor();
    expect(await sent()).toBeGreaterThan(9 * MiB); // what is stored is not sent again
    await seek();
    await recording.getByRole('status').getByText('The connection is lost.').waitFor();
    await v.server.up();
    await Promise.race([ada.button('Try now').click(), ada.page.getByText('Connected').waitFor()]); // it tries by itself too
  }
  await ada.finished('1 upload').waitFor({ timeout: 20_000 });
  await ada.throttle(0);
  await vi.waitFor(async () => expect(await at()).toBeGreaterThan(far), soon);
  expect(await recording.getByRole('status').textContent()).toBe('');
  await ada.row('Acknowledged').waitFor();
  await listener.api('POST', '/api/entries/0/folders', { name: 'Since then' });
  await ada.row('Since then').waitFor();
  expect(await visits()).toEqual(before); // nobody has loaded the page again
  expect(connections).toBeGreaterThan(0);
  expect(listener.errors).toEqual([]);
  await listener.context.close();
  ada.expected = undefined;
  const down = await ada.download(() => ada.menu('backup.tar', 'Download'));
  expect(down.sha256).toBe(await sha256(path));
  await ada.button('Clear uploads').click();
});

test('an upload is cancelled', async () => {
  await ada.throttle(4 * MiB);
  await ada.pick(await file('huge.bin', 30 * MiB));
  await ada.upload('huge.bin').getByText(/MiB of 30 MiB/).waitFor();
  await ada.button('Cancel huge.bin').click();
  await ada.upload('huge.bin').getByText('Cancelled').waitFor();
  await ada.throttle(0);
  await ada.button('Clear uploads').click();
  expect(await ada.names()).not.toContain('huge.bin');
});

test('of many entries few rows are in the page, and all are reached', async () => {
  const names = Array.from({ length: 250 }, (_, i) => `n${String(i).padStart(3, '0')}`);
  await Promise.all(names.map((name) => file(`many/${name}`, 0)));
  await ada.drop([join(v.disk, 'many')]);
  await ada.finished('250 uploads').waitFor({ timeout: 25_000 });
  await ada.button('Clear uploads').click();
  await ada.page.getByRole('link', { name: 'many' }).click();
  await ada.row('n000').waitFor();
  expect((await ada.names()).length).toBeLessThan(60);
  await vi.waitFor(async () => {
    await ada.page.keyboard.press('End'); // more come when the end is in sight
    expect((await ada.names()).at(-1)).toBe('n249');
  }, soon);
  await ada.page.keyboard.press('Control+a');
  await ada.page.getByText('250 selected').waitFor();
  await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
});

test('a changed password ends other visits; who signs out has to sign in', async () => {
  const other = await Visitor.come(v.browser);
  await other.signIn(v.server.url, 'ada', 'correct horse');
  await other.page.getByText('Connected').waitFor();
  other.expected = /status of 401/;

  await ada.button('Account of ada').click();
  await ada.page.getByRole('menuitem', { name: 'Change password…' }).click();
  const change = ada.dialog('Change password');
  ada.expected = /status of 401/;
  await change.getByLabel('Current password').fill('wrong password');
  await change.getByLabel('New password', { exact: true }).fill('better horse');
  await change.getByLabel('New password, once more').fill('better horse');
  await ada.page.keyboard.press('Enter');
  await change.getByText('The current password is wrong.').waitFor();
  await change.getByLabel('Current password').fill('correct horse');
  await ada.page.keyboard.press('Enter');
  await ada.page.getByText('Your password is changed.').waitFor();
  await other.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(other.errors).toEqual([]);
  await other.context.close();
  await ada.page.getByText('Connected').waitFor();
  await ada.row('film.mp4').waitFor();

  await ada.button('Account of ada').click();
  await ada.page.getByRole('menuitem', { name: 'Sign out' }).click();
  await ada.signIn(v.server.url, 'ada', 'correct horse');
  await ada.page.getByRole('alert').getByText('Wrong name or password.').waitFor();
  await vi.waitFor(async () => expect(await ada.page.evaluate(() => document.activeElement?.getAttribute('type'))).toBe('password'), soon); // to be typed again
  ada.expected = undefined;
  await ada.signIn(v.server.url, 'ada', 'better horse');
  await ada.row('film.mp4').waitFor();
  await ada.page.reload();
  await ada.row('film.mp4').waitFor();
});

test('a place that is not there says so', async () => {
  ada.expected = /status of 404/;
  await ada.page.goto(`${v.server.url}/files/no/such%20place`);
  await ada.page.getByRole('heading', { name: 'This folder is not there' }).waitFor();
  await ada.button('Go to all files').click();
  await ada.row('film.mp4').waitFor();
  ada.expected = undefined;
});
