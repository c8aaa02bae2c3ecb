/** Bounds as people type them: GiB with a comma or a point, whole files, nothing for none. */
import type { Amount } from './api/admin';
import { formatBytes } from './format';
import { t, tn } from './words/words.svelte';

const GiB = 2 ** 30;

export const gibOf = (bytes: number): string => (bytes > 0 ? String(Math.round((bytes / GiB) * 1000) / 1000) : '');

export const filesOf = (files: number): string => (files > 0 ? String(files) : '');

/** Bytes; 0 for nothing typed, undefined for what is no size. */
export function bytesOf(text: string): number | undefined {
  const n = Number(text.trim().replace(',', '.'));
  return Number.isFinite(n) && n >= 0 ? Math.round(n * GiB) : undefined;
}

/** What is typed for both; undefined if one of them is no bound. */
export function boundsOf(gib: string, files: string): Amount | undefined {
  const bytes = bytesOf(gib);
  const count = Number(files.trim());
  return bytes === undefined || !Number.isSafeInteger(count) || count < 0 ? undefined : { bytes, files: count };
}

/** Bounds in words. */
export function sayBounds({ bytes, files }: Amount): string {
  const bounds = [bytes > 0 && formatBytes(bytes), files > 0 && tn(files, '{n} file', '{n} files')].filter((b) => b !== false);
  return bounds.length > 0 ? bounds.join(', ') : t('No bound');
}
