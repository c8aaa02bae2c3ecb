/** What a file is to the eye: an icon and a colour, by its MIME type or its ending. */
import type { Entry } from './api/types';
import type { IconName } from './ui/icons';
import type { Text } from './words/words.svelte';

export type Look = { icon: IconName; tint: 'folder' | 'image' | 'film' | 'music' | 'archive' | 'text' | 'code' | 'table' | 'file'; word: Text };

const folder: Look = { icon: 'folder', tint: 'folder', word: 'Folder' };
const looks = {
  image: { icon: 'image', tint: 'image', word: 'Image' },
  film: { icon: 'film', tint: 'film', word: 'Video' },
  music: { icon: 'music', tint: 'music', word: 'Audio' },
  archive: { icon: 'archive', tint: 'archive', word: 'Archive' },
  text: { icon: 'text', tint: 'text', word: 'Document' },
  code: { icon: 'code', tint: 'code', word: 'Code' },
  table: { icon: 'table', tint: 'table', word: 'Table' },
  file: { icon: 'file', tint: 'file', word: 'File' },
} as const satisfies Record<string, Look>;

const endings: Record<string, keyof typeof looks> = {};
const table: [keyof typeof looks, string][] = [
  ['image', 'png jpg jpeg gif webp avif bmp heic tif tiff svg ico psd raw dng'],
  ['film', 'mp4 mkv mov webm avi m4v mpg mpeg ts'],
  ['music', 'mp3 flac wav ogg opus m4a aac wma mid'],
  ['archive', 'zip tar gz tgz bz2 xz zst 7z rar iso dmg'],
  ['text', 'pdf txt md rtf doc docx odt epub tex log pages'],
  ['code', 'go js ts jsx tsx svelte html css json xml yml yaml toml sh py rs c h cpp hpp java kt rb php sql'],
  ['table', 'csv tsv xls xlsx ods numbers'],
];
for (const [look, list] of table) for (const ending of list.split(' ')) endings[ending] = look;

/** The same by MIME types, for what has no ending that is known. */
const types: readonly [RegExp, keyof typeof looks][] = [
  [/^image\//, 'image'],
  [/^video\//, 'film'],
  [/^audio\//, 'music'],
  [/[/.-](?:zip|gzip|tar|rar|xz|zstd|bzip2?|7z-compressed|rar-compressed|iso9660-image)$/, 'archive'],
  [/^text\/(?:csv|tab-separated-values)$|spreadsheet|[.-]excel/, 'table'],
  [/[/.+-](?:json|xml|javascript|ecmascript|html|css|yaml|toml|sql|python|go|java|sh)$/, 'code'],
  [/^text\/|[/.-](?:pdf|msword|rtf|epub\+zip|tex)$|wordprocessing|opendocument\.text/, 'text'],
];

export function lookOf(entry: Pick<Entry, 'kind' | 'name' | 'type'>): Look {
  if (entry.kind === 'folder') return folder;
  const dot = entry.name.lastIndexOf('.');
  const byName = dot >= 0 ? endings[entry.name.slice(dot + 1).toLowerCase()] : undefined;
  if (byName) return looks[byName];
  const type = entry.type.split(';')[0]!.trim();
  const byType = types.find(([like]) => like.test(type))?.[1];
  return looks[byType ?? 'file'];
}
