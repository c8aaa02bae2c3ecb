import type { Client } from '../api/client';
import * as api from '../api/entries';
import type { Entry } from '../api/types';

/** Which entries somebody has starred. Others do not see it. */
export class Stars {
  ids = $state.raw<ReadonlySet<number>>(new Set());

  constructor(private readonly client: () => Client) {}

  async load(): Promise<void> {
    this.ids = new Set((await api.stars(this.client())).ids);
  }

  /** Shown at once; taken back, and thrown, where it fails. */
  async set(entries: readonly Pick<Entry, 'id'>[], on: boolean): Promise<void> {
    for (const { id } of entries) {
      this.mark(id, on);
      try {
        await api.star(this.client(), id, on);
      } catch (e) {
        this.mark(id, !on);
        throw e;
      }
    }
  }

  private mark(id: number, on: boolean): void {
    const ids = new Set(this.ids);
    if (on) ids.add(id);
    else ids.delete(id);
    this.ids = ids;
  }
}
