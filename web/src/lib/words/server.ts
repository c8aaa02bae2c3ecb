/** The server's texts in the page's language. They come in English, with names and numbers in them. */
import { formatBytes } from '../format';
import { table, t, type Text } from './words.svelte';

/** Texts of the server as its code has them, with the places of values as Go writes them: %q, %s, %d. */
export type ServerTexts = Readonly<Record<string, string>>;

type Pattern = { match: RegExp; said: string };
const made = new WeakMap<ServerTexts, Pattern[]>();

/** What a kind of refusal says where the text itself is not known. */
const kinds: Readonly<Record<string, Text>> = {
  not_found: 'It is not there, or not yours to see.',
  exists: 'The name is taken.',
  invalid: 'That cannot be done.',
  unauthenticated: 'Please sign in again.',
  denied: 'You may not do that.',
  too_large: 'That is too large.',
  corrupt: 'The content is damaged.',
  full: 'The server has no space left.',
  shutdown: 'The server is about to stop.',
  unavailable: 'That is not possible at the moment.',
};

/** Says a text of the server, or what its code means. In English, the text itself. */
export function said(text: string, code: string): string {
  const texts = table()?.server;
  if (!texts) return text.replace(/(?<=you may store )\d+ bytes$/, (size) => formatBytes(parseInt(size, 10)));
  for (const { match, said } of patternsOf(texts)) {
    const values = match.exec(text);
    if (values) return said.replace(/\{(\d)(:bytes)?\}/g, (_, n: string, bytes?: string) => (bytes ? formatBytes(Number(values[Number(n)])) : wordOf(values[Number(n)] ?? '')));
  }
  const kind = kinds[code];
  return kind ? t(kind) : text;
}

/** What the server calls the two kinds of entries is a word of its own language. */
const wordOf = (value: string) => (value === 'file' ? t('File') : value === 'folder' ? t('Folder') : value);

function patternsOf(texts: ServerTexts): Pattern[] {
  let patterns = made.get(texts);
  if (!patterns) {
    patterns = Object.entries(texts).map(([format, said]) => ({ match: patternOf(format), said }));
    made.set(texts, patterns);
  }
  return patterns;
}

function patternOf(format: string): RegExp {
  const plain = format.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${plain.replace(/%q/g, '"(.*)"').replace(/%d/g, '(-?\\d+)').replace(/%[sv]/g, '(.+)')}$`, 's');
}
