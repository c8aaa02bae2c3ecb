import type { Entry, Sort } from '../api/types';
import type { Text } from '../words/words.svelte';

export type Column = { sort: Sort | undefined; label: Text; class: 'name' | 'owner' | 'who' | 'when' | 'size' };

const owner: Column = { sort: 'owner', label: 'Owner', class: 'owner' };
const columns: readonly Column[] = [
  { sort: 'name', label: 'Name', class: 'name' },
  { sort: undefined, label: 'Visible to', class: 'who' },
  { sort: 'updated_at', label: 'Changed', class: 'when' },
  { sort: 'size', label: 'Size', class: 'size' },
];

/** The columns of a list, with owners where there are several. */
export const columnsOf = (owners: boolean): readonly Column[] => (owners ? columns.toSpliced(1, 0, owner) : columns);

/** Whether an entry is somebody else's. */
export const isOthers = (e: Entry | undefined): boolean => e !== undefined && e.owner !== null && e.access !== 'owned';

/** By what a list can be sorted. */
export const sorts: readonly Sort[] = ['name', 'owner', 'updated_at', 'size', 'type'];
export const sortWords: Record<Sort, Text> = { name: 'Name', owner: 'Owner', updated_at: 'Changed', size: 'Size', type: 'Kind' };
