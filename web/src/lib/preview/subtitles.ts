/** Subtitles that lie beside a film: film.vtt, film.srt, film.de.vtt beside film.mp4. */
import type { Client } from '../api/client';
import type { Entry } from '../api/types';
import { decode } from './text';

export type Subtitle = { entry: Entry; /** Language, '' where the name says none. */ language: string };

/** A text track for a film: revoke its address when the film goes. */
export type Track = { url: string; language: string; name: string };

const largest = 4 << 20;

export function subtitlesOf(film: string, entries: readonly Entry[]): Subtitle[] {
  const stem = film.slice(0, film.lastIndexOf('.') + 1).toLowerCase();
  if (stem === '') return [];
  const found: Subtitle[] = [];
  for (const entry of entries) {
    const name = entry.name.toLowerCase();
    if (entry.kind !== 'file' || entry.size === 0 || entry.size > largest || !name.startsWith(stem)) continue;
    const rest = /^(?:([a-z]{2,3}(?:-[a-z0-9]{2,8})*)\.)?(?:vtt|srt)$/.exec(name.slice(stem.length));
    if (rest) found.push({ entry, language: rest[1] ?? '' });
  }
  return found;
}

/** Fetches subtitles as what a browser takes. Throws ApiError. */
export async function trackOf(client: Client, { entry, language }: Subtitle, signal: AbortSignal): Promise<Track> {
  const bytes = await client.bytes(`/api/entries/${entry.id}/content`, { signal });
  const text = decode(new Uint8Array(bytes));
  const url = URL.createObjectURL(new Blob([webVTT(text)], { type: 'text/vtt' }));
  return { url, language, name: entry.name };
}

/** SubRip as WebVTT; WebVTT as it is. */
export function webVTT(text: string): string {
  const plain = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  if (/^WEBVTT(?:[ \t\n]|$)/.test(plain)) return plain;
  const timed = plain.replace(/^(\d{1,3}:\d\d:\d\d)[,.](\d{3}) *--> *(\d{1,3}:\d\d:\d\d)[,.](\d{3}).*$/gm, (_, a: string, b: string, c: string, d: string) => `${hours(a)}.${b} --> ${hours(c)}.${d}`);
  return `WEBVTT\n\n${timed.trimStart()}`;
}

const hours = (time: string) => (time.length < 8 ? `0${time}` : time);
