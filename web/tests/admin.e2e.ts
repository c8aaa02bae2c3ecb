/** What administrators do on the page, on the real binary: each part of it, in both languages, on a phone and on a big screen. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { findings } from './axe';
import { codeOf } from './totp';
import { soon, visit } from './visit';
import { Visitor } from './visitor';

const v = visit();
let ada: Visitor;
beforeAll(() => void (ada = v.ada));

const parts = ['Users', 'Invitations', 'Groups', 'Quotas', 'Services', 'Storage', 'Log', 'Server'] as const;
const at = (part: string) => ada.page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: part, exact: true }).click();
const line = (text: string | RegExp) => ada.page.getByRole('row').filter({ hasText: text });

/** What axe finds here, in both themes. */
async function clean(of: Visitor): Promise<void> {
  for (const [colorScheme, rules] of [['light', 'all'], ['dark', 'contrast']] as const) {
    await of.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    let found = await findings(of, rules);
    for (let tries = 0; found.length > 0 && tries < 5; tries++) found = await findings(of, rules);
    expect(found).toEqual([]);
  }
  await of.page.emulateMedia({ colorScheme: 'light' });
}

test('users: made, bounded, disabled, made administrators, given passwords, deleted', async () => {
  await v.setUp();
  await ada.drop([await v.file('kept.bin', 3 << 20)]);
  await ada.finished('1 upload').waitFor();
  await ada.button('Clear uploads').click();
  await ada.page.getByRole('link', { name: 'Administration' }).click();
  expect(ada.page.url()).toBe(`${v.server.url}/admin/users`);
  await ada.button('New account…').click();
  const made = ada.dialog('New account');
  await made.getByLabel('Name').fill('grace');
  await made.getByLabel('Password').fill('battery staple');
  await made.getByRole('button', { name: 'Create account' }).click();
  await line('grace').getByText('never').waitFor();
  await line('ada').getByText('3.0 MiB').waitFor();

  const choose = async (item: string) => {
    await ada.button('Actions for grace').click();
    await ada.page.getByRole('menuitem', { name: item }).click();
  };
  await choose('Quota…');
  const quota = ada.dialog('Quota of grace');
  await quota.getByLabel('As for others').uncheck();
  await quota.getByLabel('At most, in GiB').fill('much');
  await quota.getByRole('button', { name: 'Save' }).click();
  await quota.getByText('A limit is a number, or nothing.').waitFor();
  await quota.getByLabel('At most, in GiB').fill('1,5');
  await quota.getByLabel('At most, in files').fill('100');
  await quota.getByRole('button', { name: 'Save' }).click();
  await line('grace').getByText('1.5 GiB, 100 files').waitFor();
  await ada.button('Actions for ada').click();
  await ada.page.getByRole('menuitem', { name: 'What takes the space…' }).click();
  await ada.dialog('What takes the space of ada').getByRole('list', { name: 'By folder' }).getByText('3.0 MiB · 100 %').waitFor();
  await ada.page.keyboard.press('Escape');
  await choose('Make administrator');
  await line('grace').getByText('Administrator').waitFor();
  await choose('Take the role');
  await line('grace').getByText('User', { exact: true }).waitFor();
  await choose('Disable');
  await line('grace').getByText('Disabled').waitFor();
  await choose('Enable');
  await line('grace').getByText('Active').waitFor();
  await choose('Reset password…');
  const reset = ada.dialog('Reset the password of grace?');
  await reset.getByRole('button', { name: 'Reset password' }).click();
  const password = await reset.getByLabel('password', { exact: true }).inputValue();
  expect(password.length).toBeGreaterThanOrEqual(24);
  await reset.getByRole('button', { name: 'Done' }).click();
  const grace = await Visitor.come(v.browser);
  await grace.signIn(v.server.url, 'grace', password);
  await grace.page.getByText('Connected').waitFor();
  expect(await grace.page.getByRole('link', { name: 'Administration' }).count()).toBe(0);

  // Who has lost the second factor is let in by the password again, once an administrator says so.
  await choose('Reset second factors…');
  const factors = ada.dialog('Reset the second factors of grace?');
  ada.expected = /404/;
  await factors.getByRole('button', { name: 'Reset second factors' }).click();
  await factors.getByText('Grace has no second factor.').waitFor();
  ada.expected = undefined;
  await factors.getByRole('button', { name: 'Cancel' }).click();
  const { state, secret } = await grace.api<{ state: string; secret: string }>('POST', '/api/factors/totp', { password });
  await grace.api('POST', '/api/factors/totp/confirm', { state, code: codeOf(secret) });
  const login = () => ada.api<{ second?: unknown; token?: string }>('POST', '/api/login', { username: 'grace', password });
  expect(await login()).toHaveProperty('second');
  await choose('Reset second factors…');
  await v.picture('admin-factors');
  await factors.getByRole('button', { name: 'Reset second factors' }).click();
  await ada.page.getByText('The second factors of “grace” are gone.').waitFor();
  expect(await login()).toHaveProperty('token');
  await grace.page.goto(`${v.server.url}/admin/users`);
  await grace.page.getByText('You may not do that.').waitFor();
  await grace.context.close();
  await v.picture('admin-users');

  await ada.page.getByLabel('Find by name').fill('nobody');
  await line('grace').waitFor({ state: 'detached' });
  await ada.page.getByLabel('Find by name').fill('GRA');
  await line('grace').waitFor();
  await choose('Delete…');
  const gone = ada.dialog('Delete grace?');
  await gone.getByLabel('Who gets the files').fill('ada');
  await gone.getByRole('button', { name: 'Delete', exact: true }).click();
  await ada.page.getByText('“grace” is deleted.').waitFor();
  await line('grace').waitFor({ state: 'detached' });
});

test('groups and quotas', async () => {
  await ada.api('POST', '/api/users', { username: 'joan', password: 'battery staple', administrator: false });
  await at('Groups');
  await ada.page.getByLabel('Name of a new group').fill('Family');
  await ada.button('Create group').click();
  await ada.page.getByText('No members').waitFor();
  await ada.page.getByLabel('User to add to Family').fill('joan');
  await ada.page.keyboard.press('Enter');
  await ada.button('Take joan out of Family').waitFor();
  await ada.button('Rename Family').click();
  await ada.dialog('Rename Family').getByLabel('Name').fill('Club');
  await ada.page.keyboard.press('Enter');
  await ada.button('Delete Club').click();
  await ada.dialog('Delete Club?').getByRole('button', { name: 'Delete', exact: true }).click();
  await ada.button('Delete Club').waitFor({ state: 'detached' });

  await at('Quotas');
  await ada.page.getByText('3.0 MiB in 1 file;').waitFor();
  await ada.page.getByLabel('Each user at most, in GiB').fill('2');
  await ada.page.getByLabel('Each user at most, in files').fill('1000');
  await ada.button('Save the bound for each').click();
  await ada.page.getByText('Saved.').waitFor();
  await at('Users');
  await line('joan').getByText('as others').waitFor();
  await line('joan').getByText('2.0 GiB, 1,000 files').waitFor();
});

test('services are drained, revoked and let in again', async () => {
  await at('Services');
  await line('/upload/1').getByText('Working').waitFor();
  await ada.button('Drain /upload/1').click();
  await line('/upload/1').getByText('Draining').waitFor();
  await ada.button('Let it work: /upload/1').click();
  await line('/upload/1').getByText('Working').waitFor();
  await ada.button('Revoke service /upload/2').click();
  await ada.dialog('Revoke /upload/2?').getByRole('button', { name: 'Revoke service', exact: true }).click();
  await line('/upload/2').getByText('Revoked').waitFor();
  await line('/thumbnail/1').getByText('Thumbnails').waitFor();
  await ada.page.getByRole('table', { name: 'Rate limits' }).waitFor();
  await v.picture('admin-services');
  await ada.button('Let it work: /upload/2').click();
  await line('/upload/2').filter({ hasText: 'Revoked' }).waitFor({ state: 'detached' });
});

test('storage, jobs, and what would go', async () => {
  await at('Storage');
  await line('Thumbnails').getByText(/ready: \d/).waitFor();
  await ada.button('Pause Collector').click();
  await line('Collector').getByText('Paused').waitFor();
  await ada.button('Go on with Collector').click();
  await line('Collector').getByText('Running').waitFor();
  await ada.button('Pause Thumbnails').click();
  await line('Thumbnails').getByText('Paused').waitFor();
  await ada.button('Go on with Thumbnails').click();
  await ada.button('Run now: Trash').click();
  await ada.button('What would be deleted now?').click();
  await ada.page.getByText('0 messages with 0 B would go now').waitFor();
  await v.picture('admin-storage');
});

test('the log is searched, verified and exported', async () => {
  await at('Log');
  await ada.page.getByText(/The chain of \d+ records is whole\./).waitFor();
  await ada.page.getByLabel('Action').selectOption('Service cut off');
  await vi.waitFor(async () => expect(await line(/Service|Account|Sign-in/).count()).toBe(1), soon);
  await line('Service cut off').getByText('/upload/2').waitFor();
  await line('Service cut off').getByText('Uploads').waitFor();
  const [download] = await Promise.all([ada.page.waitForEvent('download'), ada.button('Export as CSV').click()]);
  const saved = join(v.disk, 'audit.csv');
  await download.saveAs(saved);
  const lines = (await readFile(saved, 'utf8')).trim().split('\n');
  expect(lines.length).toBe(2);
  expect(lines[1]).toContain(',service-revoked,true,');
  await ada.page.getByLabel('Action').selectOption('All actions');
  await ada.page.getByLabel('Find').fill('GRACE');
  await line('Account deleted').getByText('files to ada').waitFor();
  await line('Quota set').getByText('1.5 GiB, 100 files').waitFor();
  await vi.waitFor(async () => expect(await line('Service joined').count()).toBe(0), soon);
  await v.picture('admin-log');
});

test('the server tells how it is, and shows no secrets', async () => {
  await at('Server');
  await ada.page.getByRole('list', { name: 'Health' }).getByText('SQLite').waitFor();
  await ada.page.getByRole('list', { name: 'Health' }).getByText('not set up: invitations and links for new passwords are to be copied').waitFor();
  await line('TRASH_DAYS').getByText('30').waitFor();
  await line('DATA_DIR').getByText(v.server.dir).waitFor();
  const secrets = await readFile(join(v.server.dir, 'discord-cloud.env'), 'utf8');
  const shown = await ada.page.locator('main').innerText();
  for (const [, secret] of secrets.matchAll(/^\w+="?([^"\n]{16,})"?$/gm)) expect(shown).not.toContain(secret);
});

test('axe finds nothing in any part', async () => {
  for (const part of parts) {
    await at(part);
    await ada.page.getByRole('region', { name: part, exact: true }).first().waitFor();
    await clean(ada);
  }
});

test('in German, on a phone and on a big screen, all has room', async () => {
  await ada.page.evaluate(() => localStorage.setItem('discord-cloud-language', 'de'));
  for (const [width, height] of [[360, 740], [3840, 2160]] as const) {
    await ada.page.setViewportSize({ width, height });
    for (const [place, name] of [['users', 'Benutzer'], ['invitations', 'Einladungen'], ['quotas', 'Kontingente'], ['services', 'Dienste'], ['storage', 'Speicher'], ['log', 'Protokoll'], ['server', 'Server']] as const) {
      await ada.page.goto(`${v.server.url}/admin/${place}`);
      await ada.page.getByRole('region', { name, exact: true }).first().waitFor();
      expect(await ada.page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      if (place === 'log') await line('Konto gelöscht').getByText('Dateien an ada').waitFor();
      if (width === 360) await v.picture(`admin-phone-${place}`);
    }
  }
});
