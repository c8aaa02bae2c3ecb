import { explain, type Client } from '../api/client';
import * as api from '../api/entries';
import type { Entry, Place } from '../api/types';
import type { Change } from './folder.svelte';
import { t } from '../words/words.svelte';
import { compareEntries } from './order';

/** A row of the tree: a folder, or word of what is not shown of one. */
export type Branch = {
  id: number;
  name: string;
  names: readonly string[]; // from the top
  level: number; // from 1
  open: boolean;
  /** What is below is on its way, is known to be nothing, or could not be read. 'rest' stands for further folders of the one that it names. */
  state: 'closed' | 'loading' | 'open' | 'leaf' | 'rest' | { failed: string };
};

type Children = { folders: readonly Entry[]; more: boolean } | 'loading' | { failed: string };

const most = 500; // folders shown of one: who has more of them finds them in the list

/** The folders of the cloud, read as far as they are unfolded. */
export class Tree {
  private below = $state.raw<ReadonlyMap<number, Children>>(new Map());
  private unfolded = $state.raw<ReadonlySet<number>>(new Set());

  constructor(private readonly client: () => Client) {}

  readonly rows: readonly Branch[] = $derived.by(() => {
    const rows: Branch[] = [];
    const walk = (id: number, names: readonly string[], level: number) => {
      const children = this.below.get(id);
      if (!children || typeof children !== 'object' || !('folders' in children)) return;
      for (const folder of children.folders) {
        const path = [...names, folder.name];
        const inside = this.below.get(folder.id);
        const open = this.unfolded.has(folder.id);
        const state = inside && typeof inside === 'object' && 'failed' in inside ? inside : inside === 'loading' ? 'loading' : inside && inside.folders.length === 0 ? 'leaf' : open ? 'open' : 'closed';
        rows.push({ id: folder.id, name: folder.name, names: path, level, open: open && state !== 'leaf', state });
        if (open) walk(folder.id, path, level + 1);
      }
      if (children.more) rows.push({ id: -1 - id, name: t('More folders…'), names, level, open: false, state: 'rest' });
    };
    walk(0, [], 1);
    return rows;
  });

  /** What became of the top: its folders are the first rows. */
  readonly top: Branch['state'] = $derived.by(() => {
    const folders = this.below.get(0);
    if (!folders || folders === 'loading') return 'loading';
    return 'failed' in folders ? folders : 'open';
  });

  /** Reads the top again, and all that is unfolded and still there. */
  async load(id = 0): Promise<void> {
    await this.read(id);
    const children = this.below.get(id);
    if (!children || typeof children !== 'object' || !('folders' in children)) return;
    await Promise.all(children.folders.filter((f) => this.unfolded.has(f.id)).map((f) => this.load(f.id)));
  }

  unfold(id: number): void {
    this.unfolded = new Set(this.unfolded).add(id);
    const known = this.below.get(id);
    if (!known || (typeof known === 'object' && 'failed' in known)) void this.read(id);
  }

  fold(id: number): void {
    const next = new Set(this.unfolded);
    next.delete(id);
    this.unfolded = next;
  }

  /** Unfolds what lies above a place. */
  reveal(path: readonly Place[]): void {
    for (const { id } of path.slice(0, -1)) if (!this.unfolded.has(id)) this.unfold(id);
  }

  /** Takes a change of anybody's. */
  apply({ action, entry, old_parent }: Change): void {
    if (entry.kind !== 'folder') return;
    for (const parent of new Set([old_parent ?? entry.parent, entry.parent])) {
      const known = this.below.get(parent);
      if (!known || typeof known !== 'object' || !('folders' in known)) continue;
      const rest = known.folders.filter((f) => f.id !== entry.id);
      const here = action !== 'removed' && parent === entry.parent;
      const folders = here ? [...rest, entry].sort((a, b) => compareEntries(a, b, 'name', 'asc')) : rest;
      this.set(parent, { ...known, folders });
    }
  }

  private async read(id: number): Promise<void> {
    if (!this.below.has(id)) this.set(id, 'loading');
    try {
      const page = await api.children(this.client(), id, { sort: 'name', order: 'asc', kind: 'folder', limit: most });
      this.set(id, { folders: page.entries, more: page.next !== '' });
    } catch (e) {
      this.set(id, { failed: explain(e) });
    }
  }

  private set(id: number, children: Children): void {
    this.below = new Map(this.below).set(id, children);
  }
}
