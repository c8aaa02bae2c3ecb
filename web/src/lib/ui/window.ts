/** Which rows of a long list are worth having in the page. */
export function visibleRows(count: number, rowHeight: number, scrollTop: number, height: number, spare = 10): { from: number; to: number } {
  const from = Math.max(0, Math.min(count, Math.floor(scrollTop / rowHeight) - spare));
  const to = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + spare);
  return { from, to: Math.max(from, to) };
}
