import { t } from './words/words.svelte';

/** Why something cannot be the name of an entry, in the page's language; '' if it can. */
export function nameFault(name: string): string {
  if (name.includes('/')) return t('A name cannot have a “/” in it.');
  if (name === '.' || name === '..') return t('This cannot be a name.');
  if (new TextEncoder().encode(name).length > 255) return t('This name is too long.');
  return '';
}
