/** Files and folders out of a drop, with their places. */

export type Picked = { file: File; folders: string[] };
/** What was picked, with its places. */
export type Pick = { files: Picked[]; emptyFolders: string[][] };

/** From an <input type=file>, with webkitdirectory or without. */
export function fromInput(list: Iterable<File>): Pick {
  const files: Picked[] = [];
  for (const file of list) files.push({ file, folders: (file.webkitRelativePath || file.name).split('/').slice(0, -1) });
  return { files, emptyFolders: [] };
}

/** From a drop. The items must be read in the event itself: call it before the first await. */
export async function fromDrop(data: DataTransfer): Promise<Pick> {
  const entries: FileSystemEntry[] = [];
  const plain: File[] = [];
  for (const item of Array.from(data.items)) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    if (entry) entries.push(entry);
    else {
      const file = item.getAsFile();
      if (file) plain.push(file);
    }
  }
  const pick = fromInput(plain);
  for (const entry of entries) await walk(entry, [], pick);
  return pick;
}

async function walk(entry: FileSystemEntry, folders: string[], pick: Pick): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    pick.files.push({ file, folders });
    return;
  }
  const here = [...folders, entry.name];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  let any = false;
  for (;;) {
    // Chromium gives at most 100 entries a call; an empty batch is the end.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) break;
    any = true;
    for (const child of batch) await walk(child, here, pick);
  }
  if (!any) pick.emptyFolders.push(here);
}
