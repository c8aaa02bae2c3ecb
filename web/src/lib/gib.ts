/** Bounds as people type them: GiB with a comma or a point, nothing for none. */
const GiB = 2 ** 30;

export const gibOf = (bytes: number): string => (bytes > 0 ? String(Math.round((bytes / GiB) * 1000) / 1000) : '');

/** Bytes; 0 for nothing typed, undefined for what is no size. */
export function bytesOf(text: string): number | undefined {
  const n = Number(text.trim().replace(',', '.'));
  return Number.isFinite(n) && n >= 0 ? Math.round(n * GiB) : undefined;
}
