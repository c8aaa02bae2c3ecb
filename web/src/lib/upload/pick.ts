/** Files and folders out of a drop, with their places. */
import type { Source } from './upload';

export type Picked = { file: File; folders: string[]; source?: Source };
/** What was picked, with its places. */
export type Pick = { files: Picked[]; emptyFolders: string[][] };

/** From an <input type=file>, with webkitdirectory or without. */
export function fromInput(list: Iterable<File>): Pick {
  const files: Picked[] = [];
  for (const file of list) files.push({ file, folders: (file.webkitRelativePath || file.name).split('/').slice(0, -1) });
  return { files, emptyFolders: [] };
}

/** What the clipboard has of files, such as a picture of the screen. */
export function fromPaste(data: DataTransfer, now = new Date()): Pick {
  const files: File[] = [];
  for (const file of Array.from(data.files)) {
    // Browsers call every pasted picture image.png.
    const plain = /^image\.(\w+)$/.exec(file.name);
    const stamp = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '.');
    files.push(plain ? new File([file], `${stamp}.${plain[1]}`, { type: file.type, lastModified: file.lastModified }) : file);
  }
  return fromInput(files);
}

type WithHandle = DataTransferItem & { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> };

/** From a drop. The items must be read in the event itself: call it before the first await. */
export async function fromDrop(data: DataTransfer): Promise<Pick> {
  const entries: [FileSystemEntry, Promise<FileSystemHandle | null> | undefined][] = [];
  const plain: File[] = [];
  for (const item of Array.from(data.items)) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    if (entry) {
      const handle = (item as WithHandle).getAsFileSystemHandle?.();
      handle?.catch(() => undefined); // then there is none
      entries.push([entry, handle]);
    } else {
      const file = item.getAsFile();
      if (file) plain.push(file);
    }
  }
  const pick = fromInput(plain);
  for (const [entry, handle] of entries) await walk(entry, [], pick, handle);
  return pick;
}

/** The way back to a file below what was dropped. */
function sourceOf(top: Promise<FileSystemHandle | null>, way: readonly string[]): Source {
  return async () => {
    try {
      let at = await top;
      for (const [i, name] of way.entries()) {
        const folder = at as FileSystemDirectoryHandle;
        at = i === way.length - 1 ? await folder.getFileHandle(name) : await folder.getDirectoryHandle(name);
      }
      return at?.kind === 'file' ? (at as FileSystemFileHandle) : undefined;
    } catch {
      return undefined;
    }
  };
}

async function walk(entry: FileSystemEntry, folders: string[], pick: Pick, top: Promise<FileSystemHandle | null> | undefined): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    const way = folders.length > 0 ? [...folders.slice(1), entry.name] : []; // the first one is what was dropped
    pick.files.push({ file, folders, ...(top && { source: sourceOf(top, way) }) });
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
    for (const child of batch) await walk(child, here, pick, top);
  }
  if (!any) pick.emptyFolders.push(here);
}
