/**
 * How people come in: by invitation, by a link for a new password, and what the
 * sign-in offers besides. Each test goes on where the one before has stopped.
 */
import { beforeAll, expect, test } from 'vitest';
import { findings } from './axe';
import { password, visit } from './visit';
import { Visitor } from './visitor';

// Nobody listens there: what is offered shows, and what fails is told.
const v = visit({ SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'cloud@example.org', PUBLIC_URL: 'http://127.0.0.1:1', OIDC_ISSUER: 'http://127.0.0.1:1', OIDC_CLIENT_ID: 'x', OIDC_NAME: 'the club' });
let ada: Visitor;
beforeAll(async () => {
  ({ ada } = v);
  await ada.setUp(v.server.url);
});

const settings = () => ada.dialog('Settings');
async function open(tab: string) {
  await ada.button('Account of ada').click();
  await ada.page.getByRole('menuitem', { name: 'Settings…' }).click();
  await settings().getByRole('tab', { name: tab }).click();
}

/** The part of an address behind the "#", at the server of the test. */
const at = (address: string) => `${v.server.url}/${address.slice(address.indexOf('#'))}`;

test('an invitation makes an account, once', async () => {
  await open('Users');
  await settings().getByLabel('What is it for?').fill('the choir');
  await settings().getByRole('button', { name: 'Make an invitation' }).click();
  const address = await settings().getByLabel('address of the invitation', { exact: true }).inputValue();
  await settings().getByText('0 of 1 accounts made').waitFor();
  await v.picture('invitations');
  expect(await findings(ada)).toEqual([]);

  const bob = await Visitor.come(v.browser);
  await bob.page.goto(at(address));
  await bob.page.getByText('by ada.').waitFor();
  expect(bob.page.url()).not.toContain('invite');
  expect(await findings(bob)).toEqual([]);
  await v.picture('invited', bob);
  await bob.page.getByLabel('Name').fill('ada');
  await bob.page.getByLabel('Password', { exact: true }).fill(password);
  await bob.page.getByLabel('Password, once more').fill(password);
  await bob.button('Create account').click();
  await bob.page.getByText('That name is taken.').waitFor();
  await bob.page.getByLabel('Name').fill('bob');
  await bob.button('Create account').click();
  await bob.page.getByText('Connected').waitFor();
  await bob.context.close();

  const eve = await Visitor.come(v.browser);
  await eve.page.goto(at(address));
  await eve.page.getByText('This invitation does not exist, or it has ended.').waitFor();
  await eve.button('Go on').click();
  await eve.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await eve.context.close();
});

test('a link sets a new password, once', async () => {
  await settings().getByLabel('Whose is it?').fill('bob');
  await settings().getByRole('button', { name: 'Make a link' }).click();
  const address = await settings().getByLabel('link for a new password', { exact: true }).inputValue();
  await settings().getByRole('button', { name: 'Withdraw' }).click();
  await ada.page.getByText('The invitation is withdrawn.').waitFor();
  await ada.page.keyboard.press('Escape');

  const bob = await Visitor.come(v.browser);
  await bob.page.goto(at(address));
  await bob.page.getByText('for the account bob.').waitFor();
  expect(bob.page.url()).not.toContain('reset');
  expect(await findings(bob)).toEqual([]);
  await bob.page.getByLabel('New password').fill('password');
  await bob.page.getByLabel('Password, once more').fill('password');
  await bob.button('Set password').click();
  await bob.page.getByText('This password is among the most common ones').waitFor();
  await bob.page.getByLabel('New password').fill('another horse');
  await bob.page.getByLabel('Password, once more').fill('another horse');
  await bob.button('Set password').click();
  await bob.page.getByText('Your new password is set.').waitFor();
  await bob.page.getByLabel('Name').fill('bob');
  await bob.page.getByLabel('Password', { exact: true }).fill('another horse');
  await bob.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await bob.page.getByText('Connected').waitFor();
  await bob.page.goto('about:blank');
  await bob.page.goto(at(address));
  await bob.page.getByText('This link does not exist, or it was used, or it has expired.').waitFor();
  await bob.context.close();
});

test('the sign-in offers what the server has', async () => {
  const eve = await Visitor.come(v.browser);
  await eve.page.goto(v.server.url);
  await eve.button('Sign in with the club').click();
  await eve.page.getByText('The club does not answer as it should').waitFor();
  expect(await findings(eve)).toEqual([]);
  await v.picture('ways-in', eve);
  await eve.button('Forgotten your password?').click();
  await eve.page.getByLabel('Name or e-mail address').fill('nobody');
  expect(await findings(eve)).toEqual([]);
  await eve.button('Send me a link').click();
  await eve.page.getByText('a link is on its way').waitFor();
  await eve.button('Go on').click();
  await eve.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await eve.page.goto('about:blank');
  await eve.page.goto(`${v.server.url}/api/openid/return?state=made-up&code=made-up`);
  await eve.page.getByText('This sign-in was not begun here, or too long ago').waitFor();
  expect(eve.page.url()).not.toContain('made-up');
  await eve.context.close();
});
