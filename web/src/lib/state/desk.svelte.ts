import { ApiError, explain, patiently } from '../api/client';
import * as api from '../api/entries';
import type { Conflict, Entry, Place } from '../api/types';
import { tn, t } from '../words/words.svelte';
import type { Cloud } from './cloud.svelte';
import { Selection } from './selection.svelte';

/** The dialog that is open. */
export type Open =
  | { at: 'folder' }
  | { at: 'rename'; entry: Entry }
  | { at: 'move'; entries: Entry[] }
  | { at: 'delete'; entries: Entry[] }
  | { at: 'moved-onto'; ids: number[]; to: Place }
  | { at: 'properties'; entry: Entry }
  | { at: 'password' }
  | { at: 'settings' }
  | { at: 'keys' };

const viewKey = 'discord-cloud-view';

/** What a person does with the entries of the folder that is shown. */
export class Desk {
  open = $state.raw<Open | undefined>();
  view = $state.raw<'list' | 'grid'>(localStorage.getItem(viewKey) === 'grid' ? 'grid' : 'list');
  readonly selection: Selection;
  /** An entry to be selected when its folder has come; 0 is none. */
  private expected = 0;

  constructor(private readonly cloud: Cloud) {
    this.selection = new Selection(() => cloud.folder.entries);
  }

  private get client() {
    return this.cloud.session.client;
  }

  look(view: 'list' | 'grid'): void {
    this.view = view;
    localStorage.setItem(viewKey, view);
  }

  /** Goes to a folder and selects an entry of it there. */
  goTo(folder: readonly string[], id: number): void {
    this.expected = id;
    this.cloud.router.go(folder);
    this.listed();
  }

  /** The list has changed. */
  listed(): void {
    this.selection.prune();
    if (!this.expected || !this.cloud.folder.entries.some((e) => e.id === this.expected)) return;
    this.selection.only(this.expected);
    this.expected = 0;
  }

  /** Runs what a person asked for; what goes wrong is said in a toast. */
  async attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (e) {
      this.cloud.toasts.error(explain(e));
    }
  }

  /** One as it is, several of a folder as one zip. The browser tells how far it is: the server says how long each is. */
  async download(entries: readonly Entry[]): Promise<void> {
    const parent = entries[0]?.parent ?? 0;
    if (entries.length > 1 && entries.length <= api.mostPicked && entries.every((e) => e.parent === parent)) {
      await this.attempt(async () => this.fetch(await api.selectionURL(this.client, parent, entries), `${this.placeName()}.zip`));
      return;
    }
    for (const entry of entries) {
      await this.attempt(async () => this.fetch(await api.downloadURL(this.client, entry), entry.kind === 'folder' ? `${entry.name}.zip` : entry.name));
      // Browsers drop downloads that begin in the same moment.
      if (entries.length > 1) await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  private fetch(address: string, name: string): void {
    const a = document.createElement('a');
    a.href = address;
    a.download = name;
    a.click();
  }

  async publish(entries: readonly Entry[], on: boolean): Promise<void> {
    await this.attempt(async () => {
      for (const { id } of entries) this.cloud.folder.put((await patiently(() => api.change(this.client, id, { public: on }))).entry);
      const name = entries[0]!.name;
      this.cloud.toasts.info(
        on
          ? tn(entries.length, '“{name}” is visible to all users now.', '{n} files are visible to all users now.', { name })
          : tn(entries.length, '“{name}” is visible to you alone now.', '{n} files are visible to you alone now.', { name }),
      );
    });
  }

  async makeFolder(name: string): Promise<void> {
    const { folder } = this.cloud;
    if (!folder.here) return;
    const { entry } = await api.makeFolder(this.client, folder.here.id, name);
    folder.put(entry, true);
    this.selection.stand(entry.id);
  }

  async rename(entry: Entry, name: string): Promise<void> {
    const renamed = (await api.change(this.client, entry.id, { name })).entry;
    this.cloud.folder.put(renamed);
    this.selection.only(renamed.id);
  }

  async move(ids: readonly number[], to: Place, how: Conflict): Promise<void> {
    const rest = ids.filter((id) => id !== to.id);
    if (rest.length === 0) return;
    try {
      await api.move(this.client, rest, to.id, how);
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== 'exists' || how !== 'fail') throw e;
      // The question comes after the dialog that asked for the move has closed.
      setTimeout(() => (this.open = { at: 'moved-onto', ids: [...rest], to }));
      return;
    }
    this.selection.clear();
    this.changed();
    this.cloud.toasts.info(tn(rest.length, 'Moved {n} item to “{to}”.', 'Moved {n} items to “{to}”.', { to: to.name }));
  }

  /** As move; what goes wrong is said in a toast. */
  drop(ids: readonly number[], to: Place): void {
    void this.attempt(() => this.move(ids, to, 'fail'));
  }

  async remove(entries: readonly Entry[]): Promise<void> {
    await api.remove(this.client, entries.map((e) => e.id));
    this.selection.clear();
    this.changed();
    this.cloud.toasts.info(tn(entries.length, '“{name}” is deleted.', '{n} items are deleted.', { name: entries[0]!.name }));
  }

  /** What the folder that is shown is called. */
  placeName(): string {
    return this.cloud.folder.path.at(-1)?.name ?? t('All files');
  }

  /** Changes come back by the socket; without one the folder is read again. */
  private changed(): void {
    if (this.cloud.link.at !== 'open') void this.attempt(() => this.cloud.folder.reload());
  }
}
