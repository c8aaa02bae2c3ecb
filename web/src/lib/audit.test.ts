import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { AuditRecord } from './api/admin';
import { actions, sayAbout, sayAction, sayDetail } from './audit';
import { speak } from './words/words.svelte';

afterEach(() => speak('en'));

const record = (action: string, detail: string, about = '/x'): AuditRecord => ({ number: 1, at: '', action, done: true, user: null, address: '', about, detail });

test('there are words for all that the server writes down, and for nothing else', () => {
  const code = readFileSync(resolve(import.meta.dirname, '../../../manager/internal/audit/audit.go'), 'utf8');
  const constants = /const \(\n(.*?)\n\)/s.exec(code)![1]!;
  const written = [...constants.matchAll(/= "([a-z-]+)"/g)].map(([, action]) => action);
  expect(Object.keys(actions).sort()).toEqual(written.sort());
});

test.each([
  ['shared', 'bob, may write', 'bob, darf schreiben'],
  ['shared', 'group The choir, may read', 'Gruppe The choir, darf lesen'],
  ['unshared', 'user number 7', 'Benutzer Nummer 7'],
  ['transferred', 'bob', 'bob'],
  ['user-deleted', 'files to bob', 'Dateien an bob'],
  ['user-deleted', 'files to the trash of bob', 'Dateien in den Papierkorb von bob'],
  ['quota-set', '1073741824 bytes, 1 files', '1,0 GiB, 1 Datei'],
  ['quota-set', '0 bytes, 0 files', 'Keine Grenze'],
  ['link-made', 'upload', 'Dateien senden'],
  ['role-changed', 'administrator', 'Verwalter'],
  ['sign-in', 'one-time code', 'mit einem Einmalcode'],
  ['sign-in', 'by the club', 'durch the club'],
  ['user-created', 'invited by ada: by mail', 'eingeladen von ada: by mail'],
  ['user-created', 'invited by ada:', 'eingeladen von ada'],
  ['service-drained', 'thumbnail', 'Vorschaubilder'],
  // What is a name stays as it is, whatever it says.
  ['group-renamed', 'by mail', 'by mail'],
  ['identity-linked', 'removed', 'removed'],
  ['from-tomorrow', 'as others', 'as others'],
])('%s: %s', async (action, detail, said) => {
  await speak('de');
  expect(sayDetail(record(action, detail))).toBe(said);
});

test('what is not known is shown as it is', async () => {
  await speak('de');
  expect([sayAction('shared'), sayAction('from-tomorrow'), sayAction('constructor')]).toEqual(['Geteilt', 'from-tomorrow', 'constructor']);
  expect([sayAbout(record('quota-set', '', 'everybody')), sayAbout(record('quota-set', '', 'bob')), sayAbout(record('shared', '', 'everybody'))]).toEqual(['Alle Benutzer zusammen', 'bob', 'everybody']);
});
