import { ApiError, explain, patiently } from '../api/client';
import * as api from '../api/entries';
import * as history from '../api/history';
import type { Carried } from '../attach/carry';
import { saveAs } from '../attach/save';
import type { Conflict, Entry, Place } from '../api/types';
import { tn, t } from '../words/words.svelte';
import type { Cloud } from './cloud.svelte';
import { Selection } from './selection.svelte';

/** How something is shared: with people of this server, or by links. */
export type SharedBy = 'people' | 'links';

/** The dialog that is open. */
export type Open =
  | { at: 'folder' }
  | { at: 'rename'; entry: Entry }
  | { at: 'move'; entries: Entry[] }
  | { at: 'delete'; entries: Entry[] }
  | { at: 'moved-onto'; entries: readonly Carried[]; to: Place }
  | { at: 'properties'; entry: Entry }
  | { at: 'share'; entry: Entry; by: SharedBy }
  | { at: 'activity'; folder: Place }
  | { at: 'links' }
  | { at: 'usage' }
  | { at: 'password' }
  | { at: 'settings' }
  | { at: 'keys' };

const viewKey = 'discord-cloud-view';
const sideKey = 'discord-cloud-side';

/** What was cut or copied, to be pasted. */
export type Clip = { cut: boolean; entries: readonly Carried[] };

/** What a person does with the entries of the folder that is shown. */
export class Desk {
  open = $state.raw<Open | undefined>();
  view = $state.raw<'list' | 'grid'>(localStorage.getItem(viewKey) === 'grid' ? 'grid' : 'list');
  /** Whether the tree stands beside the list, where there is room. */
  side = $state.raw(localStorage.getItem(sideKey) !== '0');
  /** Entry of the list that is being renamed; 0 is none. */
  editing = $state.raw(0);
  clip = $state.raw<Clip | undefined>();
  /** Takes back what was done last. */
  private takeBack: (() => Promise<void>) | undefined;
  readonly selection: Selection;
  /** An entry to be selected when its folder has come; 0 is none. */
  private expected = 0;

  constructor(private readonly cloud: Cloud) {
    this.selection = new Selection(() => cloud.folder.rows);
  }

  private get client() {
    return this.cloud.session.client;
  }

  look(view: 'list' | 'grid'): void {
    this.view = view;
    localStorage.setItem(viewKey, view);
  }

  showSide(on: boolean): void {
    this.side = on;
    localStorage.setItem(sideKey, on ? '1' : '0');
  }

  /** Goes to a folder and selects an entry of it there. */
  goTo(folder: readonly string[], id: number): void {
    this.expected = id;
    this.cloud.router.go(folder);
    this.listed();
  }

  /** The list has changed. */
  listed(): void {
    const { folder, router } = this.cloud;
    this.selection.prune();
    if (this.editing && !folder.entries.some((e) => e.id === this.editing)) this.editing = 0;
    if (!this.expected || folder.state.at !== 'shown' || folder.path.map((p) => p.name).join('/') !== router.names.join('/')) return;
    if (folder.entries.some((e) => e.id === this.expected)) {
      this.selection.only(this.expected);
      this.expected = 0;
    } else if (folder.complete) this.expected = 0;
    else void this.attempt(() => folder.fill());
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
      await this.attempt(async () => saveAs(await api.selectionURL(this.client, parent, entries), `${this.placeName()}.zip`));
      return;
    }
    for (const entry of entries) {
      await this.attempt(async () => saveAs(await api.downloadURL(this.client, entry), entry.kind === 'folder' ? `${entry.name}.zip` : entry.name));
      // Browsers drop downloads that begin in the same moment.
      if (entries.length > 1) await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  /** Downloads what a file held before. */
  async downloadVersion(entry: Entry, version: number): Promise<void> {
    saveAs(await history.versionURL(this.client, entry.id, version), entry.name);
  }

  /** Makes a former content of a file that of now; what it replaces becomes a version. */
  async restoreVersion(entry: Entry, version: number): Promise<void> {
    this.cloud.folder.put((await history.restoreVersion(this.client, entry.id, version)).entry);
    this.cloud.toasts.info(t('“{name}” is as it was.', { name: entry.name }));
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
    if (renamed.parent === this.cloud.folder.here?.id) {
      this.cloud.folder.put(renamed);
      this.selection.only(renamed.id);
    }
    this.told(t('“{name}” is called “{to}” now.', { name: entry.name, to: renamed.name }), async () => {
      await api.change(this.client, entry.id, { name: entry.name });
    });
  }

  async move(entries: readonly Carried[], to: Place, how: Conflict): Promise<void> {
    const rest = entries.filter((e) => e.id !== to.id && e.parent !== to.id);
    if (rest.length === 0) return;
    try {
      await api.move(this.client, rest.map((e) => e.id), to.id, how);
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== 'exists' || how !== 'fail') throw e;
      // The question comes after the dialog that asked for the move has closed.
      setTimeout(() => (this.open = { at: 'moved-onto', entries: rest, to }));
      return;
    }
    this.selection.clear();
    this.changed();
    const text = tn(rest.length, 'Moved {n} item to “{to}”.', 'Moved {n} items to “{to}”.', { to: to.name });
    // What was replaced does not come back by moving.
    if (how === 'replace') this.cloud.toasts.info(text);
    else this.told(text, () => this.moveBack(rest, how === 'rename'));
  }

  private async moveBack(entries: readonly Carried[], renamed: boolean): Promise<void> {
    if (renamed) {
      for (const { id, parent, name } of entries) await patiently(() => api.change(this.client, id, { parent, name }));
      return;
    }
    for (const parent of new Set(entries.map((e) => e.parent))) {
      const some = entries.filter((e) => e.parent === parent);
      await api.move(this.client, some.map((e) => e.id), parent, 'fail');
    }
  }

  /** As move; what goes wrong is said in a toast. */
  drop(entries: readonly Carried[], to: Place): void {
    void this.attempt(() => this.move(entries, to, 'fail'));
  }

  take(entries: readonly Entry[], cut: boolean): void {
    if (entries.length === 0) return;
    this.clip = { cut, entries };
    this.cloud.toasts.info(
      cut
        ? tn(entries.length, '{n} item cut. Paste it where it shall go.', '{n} items cut. Paste them where they shall go.')
        : tn(entries.length, '{n} item copied. Paste it where you want it.', '{n} items copied. Paste them where you want them.'),
    );
  }

  /** Puts what was cut or copied into a folder. */
  async paste(to: Place): Promise<void> {
    const { clip } = this;
    if (!clip) return;
    await this.attempt(async () => {
      if (clip.cut) {
        this.clip = undefined;
        await this.move(clip.entries, to, 'fail');
        return;
      }
      await api.copy(this.client, clip.entries.map((e) => e.id), to.id);
      this.changed();
      this.cloud.toasts.info(tn(clip.entries.length, 'Pasted {n} item into “{to}”.', 'Pasted {n} items into “{to}”.', { to: to.name }));
    });
  }

  async star(entries: readonly Entry[], on: boolean): Promise<void> {
    await this.attempt(() => this.cloud.stars.set(entries, on));
  }

  /** Takes back what was done last, if that can be. */
  undo(): void {
    const back = this.takeBack;
    this.takeBack = undefined;
    if (!back) return;
    void this.attempt(async () => {
      await back();
      this.changed();
      this.cloud.toasts.info(t('Taken back.'));
    });
  }

  /** Tells what was done, and how to take it back. */
  private told(text: string, back: () => Promise<void>): void {
    this.takeBack = back;
    this.cloud.toasts.info(text, {
      label: t('Undo'),
      act: () => {
        this.takeBack = back;
        this.undo();
      },
    });
  }

  async remove(entries: readonly Entry[]): Promise<void> {
    const trash = await api.remove(this.client, entries.map((e) => e.id));
    this.selection.clear();
    this.changed();
    const text = tn(entries.length, '“{name}” is deleted.', '{n} items are deleted.', { name: entries[0]!.name });
    if (trash.length > 0) this.told(text, () => api.restore(this.client, trash));
    else this.cloud.toasts.info(text);
  }

  /** What the folder that is shown is called. */
  placeName(): string {
    return this.cloud.folder.path.at(-1)?.name ?? t('All files');
  }

  /** Changes come back by the socket; without one what is shown is read again. */
  private changed(): void {
    if (this.cloud.link.at === 'open') return;
    this.cloud.search.changed();
    void this.attempt(() => this.cloud.folder.reload());
  }
}
