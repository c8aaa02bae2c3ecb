/** What a search can be narrowed to, as the address has it; '' is anything. */
import type { Search } from './api/entries';
import type { Text } from './words/words.svelte';

export const kinds = ['folder', 'image', 'video', 'audio', 'document', 'archive'] as const;
export const sizes = ['small', 'medium', 'large', 'huge'] as const;
export const ages = ['day', 'week', 'month', 'year'] as const;

export type Filters = {
  kind: (typeof kinds)[number] | '';
  size: (typeof sizes)[number] | '';
  changed: (typeof ages)[number] | '';
  owner: number; // id of a user, 0 for anybody
};

export const noFilters: Filters = { kind: '', size: '', changed: '', owner: 0 };

export const kindWords: Record<(typeof kinds)[number], Text> = {
  folder: 'Folder', image: 'Image', video: 'Video', audio: 'Audio', document: 'Document', archive: 'Archive',
};
export const sizeWords: Record<(typeof sizes)[number], Text> = {
  small: 'Up to 1 MiB', medium: '1 to 100 MiB', large: '100 MiB to 1 GiB', huge: 'More than 1 GiB',
};
export const ageWords: Record<(typeof ages)[number], Text> = {
  day: 'In the last 24 hours', week: 'In the last 7 days', month: 'In the last 30 days', year: 'In the last year',
};

const types: Partial<Record<Filters['kind'], readonly string[]>> = {
  image: ['image/'],
  video: ['video/'],
  audio: ['audio/'],
  document: [
    'text/', 'application/pdf', 'application/msword', 'application/rtf', 'application/epub',
    'application/vnd.openxmlformats-officedocument', 'application/vnd.oasis.opendocument', 'application/vnd.ms-',
  ],
  archive: [
    'application/zip', 'application/gzip', 'application/x-gzip', 'application/x-tar', 'application/x-7z', 'application/vnd.rar',
    'application/x-rar', 'application/x-bzip', 'application/x-xz', 'application/zstd',
  ],
};
const MiB = 1 << 20;
const bounds: Record<(typeof sizes)[number], readonly [number, number]> = {
  small: [0, MiB], medium: [MiB, 100 * MiB], large: [100 * MiB, 1024 * MiB], huge: [1024 * MiB, 0],
};
const days: Record<(typeof ages)[number], number> = { day: 1, week: 7, month: 30, year: 365 };

export const narrows = (f: Filters) => f.kind !== '' || f.size !== '' || f.changed !== '' || f.owner !== 0;

/** The filters of an address' query; what it says wrong is left out. */
export function filtersOf(params: URLSearchParams): Filters {
  const one = <T extends string>(key: string, of: readonly T[]): T | '' => of.find((x) => x === params.get(key)) ?? '';
  const owner = Number(params.get('owner'));
  return { kind: one('kind', kinds), size: one('size', sizes), changed: one('changed', ages), owner: Number.isSafeInteger(owner) && owner > 0 ? owner : 0 };
}

export function paramsOf(query: string, f: Filters): URLSearchParams {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries({ q: query, ...f })) if (value) params.set(key, String(value));
  return params;
}

/** What to ask the server for. Without a text it is what changed last. */
export function wishOf(query: string, f: Filters, now = new Date()): Search {
  const wish: Search = query ? { query } : { recent: true };
  if (f.kind === 'folder') wish.kind = 'folder';
  else if (f.kind) wish.types = types[f.kind]!;
  if (f.size) [wish.minSize, wish.maxSize] = bounds[f.size] as [number, number];
  if (f.changed) wish.since = new Date(now.getTime() - days[f.changed] * 86_400_000);
  if (f.owner) wish.owner = f.owner;
  return wish;
}
