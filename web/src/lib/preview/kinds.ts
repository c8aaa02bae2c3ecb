/** How a file is shown, by its type and by the ending of its name. */
import type { Entry } from '../api/types';

export type Preview =
  | { as: 'image' | 'video' | 'audio' }
  | { as: 'markdown' | 'table' | 'text' }
  | { as: 'pdf' | 'zip' }
  | { as: 'code'; language: string };

const codes: Record<string, string> = {};
const languages: [string, string][] = [
  ['go', 'go mod'],
  ['javascript', 'js mjs cjs jsx'],
  ['typescript', 'ts mts cts tsx'],
  ['xml', 'html htm xml svelte vue plist'],
  ['css', 'css scss'],
  ['json', 'json geojson webmanifest ipynb'],
  ['yaml', 'yml yaml'],
  ['ini', 'toml ini conf cfg env properties'],
  ['bash', 'sh bash zsh'],
  ['python', 'py'],
  ['rust', 'rs'],
  ['c', 'c h'],
  ['cpp', 'cpp cc hpp'],
  ['java', 'java kt'],
  ['ruby', 'rb'],
  ['php', 'php'],
  ['sql', 'sql'],
  ['diff', 'diff patch'],
];
for (const [language, list] of languages) for (const ending of list.split(' ')) codes[ending] = language;

const texts = new Set('txt log text tex srt vtt gitignore'.split(' '));
const pictures = new Set('png jpg jpeg gif webp avif bmp ico svg'.split(' '));
const films = new Set('mp4 webm m4v mov ogv mkv'.split(' '));
const zips = new Set('zip cbz jar'.split(' '));
const sounds = new Set('mp3 ogg opus wav flac m4a aac oga'.split(' '));

/** undefined where the page has no way to show it. */
export function previewOf({ kind, name, type }: Pick<Entry, 'kind' | 'name' | 'type'>): Preview | undefined {
  if (kind !== 'file') return undefined;
  const ending = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  const mime = type.split(';')[0]!.trim().toLowerCase();
  if (pictures.has(ending)) return { as: 'image' };
  if (sounds.has(ending)) return { as: 'audio' };
  if (ending === 'pdf') return { as: 'pdf' };
  if (zips.has(ending)) return { as: 'zip' };
  if (ending === 'md' || ending === 'markdown') return { as: 'markdown' };
  if (ending === 'csv' || ending === 'tsv') return { as: 'table' };
  const language = codes[ending];
  if (language) return { as: 'code', language };
  if (films.has(ending)) return { as: 'video' };
  if (texts.has(ending)) return { as: 'text' };
  if (/^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml)$/.test(mime)) return { as: 'image' };
  if (mime === 'application/pdf') return { as: 'pdf' };
  if (mime === 'application/zip') return { as: 'zip' };
  if (mime.startsWith('video/')) return { as: 'video' };
  if (mime.startsWith('audio/')) return { as: 'audio' };
  if (mime === 'text/markdown') return { as: 'markdown' };
  if (mime === 'text/csv') return { as: 'table' };
  if (mime === 'application/json') return { as: 'code', language: 'json' };
  if (mime.startsWith('text/')) return { as: 'text' };
  return undefined;
}
