const plenty = 10;

/** Which rows of a long list are worth having in the page. */
export function visibleRows(count: number, rowHeight: number, scrollTop: number, height: number, spare = plenty): { from: number; to: number } {
  const from = Math.max(0, Math.min(count, Math.floor(scrollTop / rowHeight) - spare));
  const to = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + spare);
  return { from, to: Math.max(from, to) };
}

/** More rows than visibleRows ever gives. */
export function mostRows(rowHeight: number, height: number, spare = plenty): number {
  return Math.ceil(height / rowHeight) + 2 * spare + 2;
}
