import type { Entry, Order, Sort } from '../api/types';

/** The server's order: folders first, then the column, then the name, then the id. */
export function compareEntries(a: Entry, b: Entry, sort: Sort, order: Order): number {
  if (a.kind !== b.kind) return a.kind === 'folder' ? -1 : 1;
  const direction = order === 'asc' ? 1 : -1;
  return direction * (byColumn(a, b, sort) || a.id - b.id);
}

function byColumn(a: Entry, b: Entry, sort: Sort): number {
  switch (sort) {
    case 'name':
      return compareText(a.name.toLowerCase(), b.name.toLowerCase()) || compareText(a.name, b.name);
    case 'size':
      return a.size - b.size;
    case 'type':
      return compareText(a.type, b.type);
    case 'updated_at':
      return new Date(a.updated_at).getTime() - new Date(b.updated_at).getTime();
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
