import type { Sort } from '../api/types';
import type { Text } from '../words/words.svelte';

export type Column = { sort: Sort | undefined; label: Text; class: 'name' | 'who' | 'when' | 'size' };

export const columns: readonly Column[] = [
  { sort: 'name', label: 'Name', class: 'name' },
  { sort: undefined, label: 'Visible to', class: 'who' },
  { sort: 'updated_at', label: 'Changed', class: 'when' },
  { sort: 'size', label: 'Size', class: 'size' },
];
