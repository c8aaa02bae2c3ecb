/** What the server found out about pictures, films and sounds, as people read it. */
import type { Media } from '../api/types';
import { formatCount, formatMoment } from '../format';
import { t } from '../words/words.svelte';

/** "1:02:03", "4:05". */
export function formatLength(milliseconds: number): string {
  const s = Math.max(1, Math.round(milliseconds / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = Math.floor(s / 60) % 60;
  return s < 3600 ? `${minutes}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(minutes)}:${two(s % 60)}`;
}

/** Pairs of a word and what it is, as far as something is known. */
export function factsOf(m: Media | undefined): [string, string][] {
  if (!m) return [];
  const all: [string, string | undefined][] = [
    [t('Title'), m.title],
    [t('Artist'), m.artist],
    [t('Album'), m.album],
    [t('Dimensions'), m.width && m.height ? `${formatCount(m.width)} × ${formatCount(m.height)}` : undefined],
    [t('Length'), m.duration ? formatLength(m.duration) : undefined],
    [t('Pages'), m.pages ? formatCount(m.pages) : undefined],
    [t('Taken'), m.taken_at ? formatMoment(m.taken_at) : undefined],
    [t('Camera'), m.camera],
    [t('Codec'), m.codec],
  ];
  return all.filter((f): f is [string, string] => !!f[1]);
}
