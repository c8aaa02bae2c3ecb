/**
 * How people come in: by invitation, by a link for a new password, and what the
 * sign-in offers besides. Each test goes on where the one before has stopped.
 */
import { beforeAll, expect, test, vi } from 'vitest';
import { findings } from './axe';
import { client, Provider } from './provider';
import { freePort } from './server';
import { password, soon, visit } from './visit';
import { Visitor } from './visitor';

// Nobody listens at the addresses of the mail and, at first, of the other provider: what is offered shows, and what fails is told.
const [port, providerPort] = [await freePort(), await freePort()];
const v = visit({
  MANAGER_PORT: String(port),
  PUBLIC_URL: `http://127.0.0.1:${port}`,
  SMTP_URL: 'smtp://127.0.0.1:1',
  MAIL_FROM: 'cloud@example.org',
  OIDC_ISSUER: `http://127.0.0.1:${providerPort}`,
  OIDC_CLIENT_ID: client.id,
  OIDC_CLIENT_SECRET: client.secret,
  OIDC_NAME: 'the club',
});
let ada: Visitor;
beforeAll(async () => {
  ({ ada } = v);
  await ada.setUp(v.server.url);
});

async function administer(part: string) {
  await ada.page.getByRole('link', { name: 'Administration' }).click();
  await ada.page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: part, exact: true }).click();
}

/** The invitations of the choir, in the list. */
const choir = () => ada.page.getByRole('row').filter({ hasText: 'the choir' });

test('an invitation makes an account, once', async () => {
  await ada.api('POST', '/api/groups', { name: 'Singers' });
  await administer('Invitations');
  await ada.page.getByText('There are none.').waitFor();
  await ada.button('New invitation…').click();
  const dialog = ada.dialog('New invitation');
  await dialog.getByLabel('What is it for?').fill('the choir');
  await dialog.getByLabel('Send it to').fill('bob@example.org');
  await dialog.getByLabel('GiB for each').fill('2');
  await dialog.getByLabel('Files for each').fill('many');
  await dialog.getByLabel('Singers').check();
  await dialog.getByRole('button', { name: 'Make an invitation' }).click();
  await dialog.getByText('A limit is a number, or nothing.').waitFor();
  await dialog.getByLabel('Files for each').fill('500');
  await v.picture('invitation');
  expect(await findings(ada)).toEqual([]);
  await ada.page.keyboard.press('Enter');
  const made = ada.dialog('The invitation is made');
  await made.getByText('The invitation is on its way. Its address is shown this once.').waitFor();
  const address = await made.getByLabel('address of the invitation', { exact: true }).inputValue();
  expect(address).toContain(`${v.server.url}/#invite=`);
  await made.getByRole('button', { name: 'Done' }).click();
  for (const told of ['bob@example.org', '0 of 1', '2.0 GiB, 500 files', 'Singers', 'until', 'ada']) await choir().getByText(told).waitFor();
  await v.picture('invitations');
  expect(await findings(ada)).toEqual([]);

  const bob = await Visitor.come(v.browser);
  await bob.page.goto(address);
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
  await eve.page.goto(address);
  await eve.page.getByText('This invitation does not exist, or it has ended.').waitFor();
  await eve.button('Go on').click();
  await eve.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await eve.context.close();
});

test('an invitation is withdrawn, and a link sets a new password, once', async () => {
  await ada.page.reload();
  await choir().getByText('over').waitFor();
  await choir().getByText('1 of 1').waitFor();
  await ada.button('Withdraw the invitation the choir').click();
  await ada.page.getByText('The invitation is withdrawn.').waitFor();
  await ada.page.getByText('There are none.').waitFor();
  await administer('Users');
  await ada.page.getByRole('row').filter({ hasText: 'bob' }).getByText('2.0 GiB, 500 files').waitFor();
  await ada.button('Actions for bob').click();
  await ada.page.getByRole('menuitem', { name: 'Link for a new password…' }).click();
  const dialog = ada.dialog('A link for a new password of bob');
  await dialog.getByRole('button', { name: 'Make a link' }).click();
  const address = await dialog.getByLabel('link for a new password', { exact: true }).inputValue();
  await dialog.getByRole('button', { name: 'Done' }).click();

  const bob = await Visitor.come(v.browser);
  await bob.page.goto(address);
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
  await bob.page.goto(address);
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

test('administrators see that no mail goes', async () => {
  await administer('Server');
  const mail = ada.page.getByRole('list', { name: 'Health' }).getByRole('listitem').filter({ hasText: 'Mail' });
  await vi.waitFor(async () => {
    await ada.button('Look again').click();
    await mail.getByText(/was refused or not taken · smtp:\/\/127\.0\.0\.1:1 · 0 sent, 1 waiting.*last failure/).waitFor({ timeout: 1_000 });
  }, soon);
  await v.picture('mail');
});

test('another provider signs in whom it is linked with', async () => {
  const provider = await Provider.start(providerPort);
  try {
    const goOn = (of: Visitor) => of.page.getByRole('link', { name: 'Go on as ann' }).click();
    const eve = await Visitor.come(v.browser);
    await eve.page.goto(v.server.url);
    await eve.button('Sign in with the club').click();
    await goOn(eve);
    await eve.page.getByText(/No account here is linked with this identity/i).waitFor();
    await eve.context.close();

    await ada.button('Account of ada').click();
    await ada.page.getByRole('menuitem', { name: 'Settings…' }).click();
    await ada.dialog('Settings').getByRole('tab', { name: 'Devices' }).click();
    await ada.dialog('Settings').getByLabel('Your password').fill(password);
    await ada.button('Link with the club').click();
    await goOn(ada);
    await ada.page.getByText('You can sign in that way from now on.').waitFor();
    await ada.button('Account of ada').click();
    await ada.page.getByRole('menuitem', { name: 'Sign out' }).click();
    await ada.button('Sign in with the club').click();
    await goOn(ada);
    await ada.page.getByText('Connected').waitFor();
    expect(await ada.ask('/api/me')).toMatchObject({ user: { name: 'ada' } });
    expect(ada.page.url()).not.toContain('openid');
  } finally {
    await provider.close();
  }
});
