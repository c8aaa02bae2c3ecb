import { afterEach, expect, test } from 'vitest';
import { formatBytes, formatMoment } from '../format';
import { german } from './de';
import { adminGerman } from './de.admin';
import { auditGerman } from './de.audit';
import { germanDoor } from './de.door';
import { germanFactors } from './de.factors';
import { germanLinks } from './de.links';
import { germanPeople } from './de.people';
import { choose, language, preferred, speak, t, tn } from './words.svelte';

afterEach(async () => {
  localStorage.clear();
  await speak('en');
});

test('a chosen language is spoken, and remembered', async () => {
  expect(preferred()).toBe('en');
  await choose('de');
  expect([t('New folder'), language(), document.documentElement.lang, preferred()]).toEqual(['Neuer Ordner', 'de', 'de', 'de']);
  expect(tn(1, '{n} file', '{n} files')).toBe('1 Datei');
  expect(tn(1234, '{n} file', '{n} files')).toBe('1.234 Dateien');
  expect(formatBytes(1536)).toBe('1,5 KiB');
  expect(formatMoment('2026-03-01T12:00:00Z')).toMatch(/März/);
});

test('values stand in their places, whatever is in them', () => {
  expect(t('Moved {n} items to “{to}”.', { n: 2, to: '{n} $1' })).toBe('Moved 2 items to “{n} $1”.');
});

test('no text is said in two ways', () => {
  for (const part of [adminGerman, auditGerman, germanDoor, germanFactors, germanLinks, germanPeople])
    for (const [english, said] of Object.entries(part)) expect(german, english).toHaveProperty([english], said);
});

test('German has the same places for values', () => {
  const places = (s: string) => [...s.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const [english, said] of Object.entries(german)) {
    expect(places(said), english).toEqual(places(english));
    expect(said.trim(), english).not.toBe('');
  }
});
