import type { Entry, Order, Sort } from '../api/types';

/**
 * The server's order: folders first, then the column, then what breaks ties.
 * Folders have neither size nor type, and stay in the order of their names then.
 */
export function compareEntries(a: Entry, b: Entry, sort: Sort, order: Order): number {
  if (a.kind !== b.kind) return a.kind === 'folder' ? -1 : 1;
  if (a.kind === 'folder' && (sort === 'size' || sort === 'type')) return byColumn(a, b, 'name') || a.id - b.id;
  return (order === 'asc' ? 1 : -1) * (byColumn(a, b, sort) || a.id - b.id);
}

function byColumn(a: Entry, b: Entry, sort: Sort): number {
  switch (sort) {
    case 'name':
      return compareText(foldName(a.name), foldName(b.name)) || compareText(a.name, b.name);
    case 'size':
      return a.size - b.size;
    case 'type':
      return compareText(a.type, b.type);
    case 'owner':
      return compareText(foldName(a.owner?.name ?? ''), foldName(b.owner?.name ?? ''));
    case 'updated_at':
      return Date.parse(a.updated_at) - Date.parse(b.updated_at);
  }
}

/** Unicode's case folding, nearly: what is the same in capitals is the same. */
export function foldName(name: string): string {
  return name.toUpperCase().toLowerCase().replaceAll('ς', 'σ');
}

/** By code points, as UTF-8 sorts; JavaScript's < goes by UTF-16. */
function compareText(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue;
    return (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
  }
  return a.length - b.length;
}
