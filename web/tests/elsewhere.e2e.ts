/** The same build from another host: it asks for a server, talks to it by CORS, and remembers several. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server as Http } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort, Server } from './server';
import { password, visit } from './visit';
import { Visitor } from './visitor';

const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const dist = resolve(import.meta.dirname, '../dist');

/** A host that knows nothing but the page's files. */
const host: Http = createServer((request, response) => {
  const path = new URL(request.url ?? '/', 'http://x').pathname;
  const name = extname(path) ? path : '/index.html';
  readFile(join(dist, name)).then(
    (bytes) => response.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream' }).end(bytes),
    () => response.writeHead(404).end(),
  );
});
await new Promise<void>((done) => host.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;

const v = visit({ PAGE_ORIGINS: origin });
let second: Server;
let guest: Visitor;
beforeAll(async () => {
  second = await Server.start({ PAGE_ORIGINS: origin });
  guest = await Visitor.come(v.browser);
});
afterAll(async () => {
  await second?.close();
  host.close();
});

test('it asks where the cloud is, and works from there', async () => {
  await v.setUp();
  await guest.page.goto(origin);
  await guest.page.getByRole('heading', { name: 'Where is your cloud?' }).waitFor();
  guest.expected = /ERR_CONNECTION/;
  await guest.page.getByLabel('Address').fill(`http://127.0.0.1:${await freePort()}`);
  await guest.button('Continue').click();
  await guest.page.getByText('The server cannot be reached').waitFor();
  guest.expected = undefined;
  await guest.page.getByLabel('Address').fill(v.server.url);
  await guest.button('Continue').click();
  await guest.signIn(origin, 'ada', password);
  await guest.page.getByText('Connected').waitFor();
  await guest.pick(await v.file('from afar.txt', 'far'));
  await guest.finished('1 upload').waitFor();
  await guest.row('from afar.txt').waitFor();
  await v.ada.row('from afar.txt').waitFor();
  await guest.page.reload();
  await guest.row('from afar.txt').waitFor();
});

test('it remembers several servers, and the session on each', async () => {
  const change = async () => {
    await guest.button('Account of ada').or(guest.button('Account of bea')).click();
    await guest.page.getByRole('menuitem', { name: 'Change server…' }).click();
  };
  await change();
  await guest.page.getByLabel('Address').fill(second.url);
  await guest.button('Continue').click();
  const code = new URL(second.setupURL).hash.replace('#setup=', '');
  const ask = guest.page.getByLabel('Set-up code');
  await guest.page.getByRole('heading', { name: 'Welcome to discord-cloud' }).waitFor();
  if (await ask.isVisible()) await ask.fill(code);
  await guest.page.getByLabel('Name').fill('bea');
  await guest.page.getByLabel('Password', { exact: true }).fill(password);
  await guest.page.getByLabel('Password, once more').fill(password);
  await guest.button('Create administrator').click();
  await guest.page.getByRole('heading', { name: 'Your cloud is empty' }).waitFor();
  await change();
  const known = guest.page.getByRole('region', { name: 'Used before' });
  expect(await known.getByRole('listitem').count()).toBe(2);
  await known.getByRole('button', { name: v.server.url.replace('http://', ''), exact: true }).click();
  await guest.row('from afar.txt').waitFor(); // without a password
  await change();
  await known.getByRole('button', { name: `Forget ${second.url.replace('http://', '')}` }).click();
  expect(await known.getByRole('listitem').count()).toBe(1);
  expect(guest.errors).toEqual([]);
  await guest.context.close();
});
