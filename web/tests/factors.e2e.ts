/** What is asked for besides the password: one-time codes, passkeys of a real browser, recovery codes. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { findings } from './axe';
import { codeOf } from './totp';
import { password, visit } from './visit';

const v = visit();
// Browsers have passkeys for names, not for bare addresses.
const named = (url: string) => url.replace('127.0.0.1', 'localhost');

async function settings() {
  await v.ada.button('Account of ada').click();
  await v.ada.page.getByRole('menuitem', { name: 'Settings…' }).click();
  const dialog = v.ada.dialog('Settings');
  await dialog.getByRole('tab', { name: 'Sign-in' }).click();
  return dialog;
}

async function signOut() {
  await v.ada.button('Account of ada').click();
  await v.ada.page.getByRole('menuitem', { name: 'Sign out' }).click();
  await v.ada.page.getByRole('heading', { name: 'Sign in' }).waitFor();
}

async function withPassword() {
  await v.ada.page.getByLabel('Name').fill('ada');
  await v.ada.page.getByLabel('Password').fill(password);
  await v.ada.button('Sign in').click();
  await v.ada.page.getByRole('heading', { name: 'One more step' }).waitFor();
}

const inside = () => v.ada.page.getByText('Connected').waitFor();
const refused = /401|400|429/;
let codes: string[] = [];

test('codes of an app are set up by a QR code, and asked for after the password', { timeout: 60_000 }, async () => {
  await v.ada.setUp(named(v.server.setupURL));
  let dialog = await settings();
  await v.picture('sign-in-settings');
  await dialog.getByRole('listitem').filter({ hasText: 'One-time codes' }).getByRole('button', { name: 'Set up' }).click();
  v.ada.expected = refused;
  await dialog.getByLabel('Current password').fill('wrong password');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await dialog.getByRole('alert').getByText('The current password is wrong.').waitFor();
  await dialog.getByLabel('Current password').fill(password);
  await v.ada.page.keyboard.press('Enter');
  await dialog.getByRole('img', { name: 'QR code of the secret' }).waitFor();
  expect(await findings(v.ada)).toEqual([]);
  await v.picture('one-time-codes');
  const secret = await dialog.getByRole('textbox', { name: 'secret' }).inputValue();
  await dialog.getByLabel('Code', { exact: true }).fill(codeOf(secret, 99));
  await v.ada.page.keyboard.press('Enter');
  await dialog.getByRole('alert').getByText(/clock of your device/).waitFor();
  await dialog.getByLabel('Code', { exact: true }).fill(codeOf(secret));
  await dialog.getByRole('button', { name: 'Continue' }).click();

  await dialog.getByRole('heading', { name: 'Your recovery codes' }).waitFor();
  codes = await dialog.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem').allTextContents();
  expect(codes).toHaveLength(10);
  expect(await findings(v.ada)).toEqual([]);
  await v.picture('recovery-codes');
  const [download] = await Promise.all([v.ada.page.waitForEvent('download'), dialog.getByRole('button', { name: 'Download' }).click()]);
  expect(await readFile(await download.path(), 'utf8')).toContain(codes.join('\n'));
  await dialog.getByRole('button', { name: 'I have kept them' }).click();
  await dialog.getByText('10 are left').waitFor();
  await v.ada.page.keyboard.press('Escape');

  await signOut();
  await withPassword();
  expect(await findings(v.ada)).toEqual([]);
  await v.picture('second-step');
  const field = v.ada.page.getByLabel('Code', { exact: true });
  await field.fill(codeOf(secret, 99));
  await v.ada.button('Sign in').click();
  await v.ada.page.getByRole('alert').getByText('That code is wrong').waitFor();
  await field.fill(codeOf(secret, 1)); // that of now has confirmed the secret
  await v.ada.page.keyboard.press('Enter');
  await inside();

  await signOut();
  await withPassword();
  await v.ada.button('Use a recovery code').click();
  await v.ada.page.getByLabel('Recovery code').fill(codes[0]!.toUpperCase());
  await v.ada.button('Sign in').click();
  await inside();
  dialog = await settings();
  await dialog.getByText('9 are left').waitFor();
  await v.ada.page.keyboard.press('Escape');
  v.ada.expected = undefined;
});

test('a passkey stands for the password, or follows it', { timeout: 60_000 }, async () => {
  const devtools = await v.ada.context.newCDPSession(v.ada.page);
  await devtools.send('WebAuthn.enable'); // until any other session of the debugger ends: axe would be one
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  let dialog = await settings();
  await dialog.getByRole('button', { name: 'Add a passkey' }).click();
  await dialog.getByLabel('Name').fill('Work laptop');
  await dialog.getByLabel('Current password').fill(password);
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await dialog.getByRole('listitem').filter({ hasText: 'Work laptop' }).filter({ hasText: 'Passkey for localhost' }).waitFor();
  await v.picture('passkeys');

  await v.ada.page.keyboard.press('Escape');

  await signOut();
  await v.picture('sign-in');
  await v.ada.button('Sign in with a passkey').click();
  await inside();
  await signOut();
  await withPassword();
  await v.ada.button('Use your passkey').click();
  await inside();

  // Who does not show a finger is not who he says.
  await signOut();
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
  await v.ada.button('Sign in with a passkey').click();
  await v.ada.page.getByRole('alert').getByText('No passkey was used.').waitFor();
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });
  await v.ada.button('Sign in with a passkey').click();
  await inside();

  dialog = await settings();
  await dialog.getByRole('button', { name: 'Rename Work laptop' }).click();
  await dialog.getByLabel('Name').fill('Old laptop');
  await v.ada.page.keyboard.press('Enter');
  await dialog.getByRole('button', { name: 'Remove Old laptop' }).click();
  await dialog.getByLabel('Current password').fill(password);
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await dialog.getByText('Old laptop').waitFor({ state: 'detached' });
  await dialog.getByRole('listitem').filter({ hasText: 'One-time codes' }).getByRole('button', { name: 'Remove' }).click();
  await dialog.getByLabel('Current password').fill(password);
  await v.ada.page.keyboard.press('Enter');
  await dialog.getByText('From an app on your phone').waitFor();
  await v.ada.page.keyboard.press('Escape');

  // The authenticator still has it; the server does not. The password alone is enough again.
  await signOut();
  v.ada.expected = refused;
  await v.ada.button('Sign in with a passkey').click();
  await v.ada.page.getByRole('alert').getByText('That passkey is not known here.').waitFor();
  v.ada.expected = undefined;
  await v.ada.page.getByLabel('Name').fill('ada');
  await v.ada.page.getByLabel('Password').fill(password);
  await v.ada.button('Sign in').click();
  await inside();
});
