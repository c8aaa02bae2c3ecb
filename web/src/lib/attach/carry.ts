/** Entries of the list on the mouse, on their way into a folder. */
import type { Entry } from '../api/types';
import { tn } from '../words/words.svelte';

const type = 'application/x-discord-cloud-entries';

/** What has to be known of an entry to move it, and to bring it back. */
export type Carried = Pick<Entry, 'id' | 'parent' | 'name'>;

export function carryEntries(data: DataTransfer, entries: readonly Entry[]): void {
  data.setData(type, JSON.stringify(entries.map(({ id, parent, name }) => ({ id, parent, name }))));
  data.effectAllowed = 'move';
  const chip = document.createElement('div');
  chip.className = 'carried';
  chip.textContent = entries.length === 1 ? entries[0]!.name : tn(entries.length, '{n} item', '{n} items');
  document.body.append(chip);
  data.setDragImage(chip, -12, -8);
  setTimeout(() => chip.remove()); // the browser has its picture of it by then
}

/** Whether a drag is of entries; what they are is told on the drop only. */
export const carriesEntries = (data: DataTransfer) => data.types.includes(type);

export function readEntries(data: DataTransfer): Carried[] {
  try {
    return JSON.parse(data.getData(type)) as Carried[];
  } catch {
    return [];
  }
}
