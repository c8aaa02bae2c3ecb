/** What is dragged over folders and dropped on them: entries of the list, or files from outside. */
import type { Entry } from '../api/types';
import { fromDrop, type Pick as PickedFiles } from '../upload/pick';
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

export type Load = { entries: Carried[] } | { files: Promise<PickedFiles> };

/** Whether a drag is of files and folders of the desktop; what they are is told on the drop only. */
export const carriesFiles = (data: DataTransfer | null) => data?.types.includes('Files') ?? false;

/** What a folder would do with what is dragged over it: move entries in, or take copies of files. */
export function effectOf(data: DataTransfer | null): 'move' | 'copy' | undefined {
  if (data?.types.includes(type)) return 'move';
  return carriesFiles(data) ? 'copy' : undefined;
}

/** Says that what is dragged may be dropped here; false if a folder can do nothing with it. */
export function welcome(e: DragEvent): boolean {
  const effect = effectOf(e.dataTransfer);
  if (!effect) return false;
  e.preventDefault();
  e.dataTransfer!.dropEffect = effect;
  return true;
}

/** What was dropped; undefined if a folder can do nothing with it. Call it in the event: nobody can read it later. */
export function received(e: DragEvent): Load | undefined {
  const data = e.dataTransfer;
  const effect = effectOf(data);
  if (!data || !effect) return undefined;
  e.preventDefault();
  return effect === 'copy' ? { files: fromDrop(data) } : { entries: readEntries(data) };
}

function readEntries(data: DataTransfer): Carried[] {
  try {
    return JSON.parse(data.getData(type)) as Carried[];
  } catch {
    return [];
  }
}
