/** What this browser remembers of uploads under way, for a later visit to the page to go on with them. */

export type Kept = {
  id: string;
  /** When the file was changed, in milliseconds: another time, another file. */
  modified: number;
  handle?: FileSystemFileHandle;
};

export interface Memory {
  keep(kept: Kept): Promise<void>;
  forget(id: string): Promise<void>;
  all(): Promise<Map<string, Kept>>;
}

type Row = Kept & { at: number };

const store = 'uploads';
/** The server gives them up after a day without progress. */
const longest = 7 * 24 * 3_600_000;

/** In IndexedDB. Where that is closed to the page nothing is remembered, and nothing fails. */
export class BrowserMemory implements Memory {
  private base: Promise<IDBDatabase | undefined> | undefined;

  async keep(kept: Kept): Promise<void> {
    const row: Row = { ...kept, at: Date.now() };
    // Some browsers cannot store a handle; what else is known is still of use.
    await this.change((rows) => rows.put(row)).catch(() => this.change((rows) => rows.put({ ...row, handle: undefined })).catch(() => undefined));
  }

  async forget(id: string): Promise<void> {
    await this.change((rows) => rows.delete(id)).catch(() => undefined);
  }

  async all(): Promise<Map<string, Kept>> {
    const base = await this.open();
    if (!base) return new Map();
    const rows = await new Promise<Row[]>((resolve) => {
      const request = base.transaction(store).objectStore(store).getAll() as IDBRequest<Row[]>;
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve([]);
    });
    const known = new Map<string, Kept>();
    for (const row of rows) {
      if (Date.now() - row.at < longest) known.set(row.id, row);
      else await this.forget(row.id);
    }
    return known;
  }

  private async change(f: (rows: IDBObjectStore) => void): Promise<void> {
    const base = await this.open();
    if (!base) return;
    await new Promise<void>((resolve, reject) => {
      const change = base.transaction(store, 'readwrite');
      change.oncomplete = () => resolve();
      change.onabort = () => reject(change.error ?? new Error('not remembered'));
      f(change.objectStore(store));
    });
  }

  private open(): Promise<IDBDatabase | undefined> {
    return (this.base ??= new Promise((resolve) => {
      try {
        const request = indexedDB.open('discord-cloud', 1);
        request.onupgradeneeded = () => request.result.createObjectStore(store, { keyPath: 'id' });
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => resolve(undefined);
      } catch {
        resolve(undefined);
      }
    }));
  }
}

type Permitted = FileSystemFileHandle & {
  queryPermission?: (o: { mode: 'read' }) => Promise<PermissionState>;
  requestPermission?: (o: { mode: 'read' }) => Promise<PermissionState>;
};

/** The file of a handle: undefined if it is gone, 'ask' if only a person can open it, by a click. */
export async function fileOf(handle: FileSystemFileHandle, clicked: boolean): Promise<File | 'ask' | undefined> {
  const h: Permitted = handle;
  try {
    let state = (await h.queryPermission?.({ mode: 'read' })) ?? 'granted';
    if (state === 'prompt' && clicked) state = (await h.requestPermission?.({ mode: 'read' })) ?? 'denied';
    if (state === 'prompt') return 'ask';
    return state === 'granted' ? await handle.getFile() : undefined;
  } catch {
    return undefined;
  }
}
