/** One file on its way. */

export type Answer = 'skip' | 'overwrite' | 'rename';

export type State =
  | { at: 'queued' }
  | { at: 'starting' }
  | { at: 'sending' }
  | { at: 'interrupted' } // goes on by itself when it can
  | { at: 'finishing' } // all parts are stored
  | { at: 'asking' } // the name is taken, a person decides
  | { at: 'done'; name: string }
  | { at: 'skipped' }
  | { at: 'failed'; message: string }
  | { at: 'cancelled' };

let nextKey = 1;

export class Upload {
  readonly key = nextKey++;
  state: State = { at: 'queued' };
  /** Name by which the manager knows it; '' before it does. */
  id = '';
  /** Bytes that are stored. */
  stored = 0;
  /** Bytes sent of the parts under way. */
  readonly flying = new Map<number, number>();
  abort = new AbortController();
  /** Whether a booked service works on it. */
  holds = false;
  /** Whether it waits before the next try. */
  resting = false;
  /** Failed tries since something was stored. */
  setbacks = 0;

  private constructor(
    readonly name: string,
    readonly size: number,
    /** Folder it goes to, such as /a/b. */
    readonly path: string,
    readonly isPublic: boolean,
    /** Missing for what an earlier visit to the page has sent. */
    readonly file: File | undefined,
  ) {}

  static of(file: File, path: string, isPublic: boolean): Upload {
    return new Upload(file.name, file.size, path, isPublic, file);
  }

  /** An upload of an earlier visit: all its parts are stored, only a question is open. */
  static ofEarlier(id: string, name: string, path: string): Upload {
    const u = new Upload(name, 0, path, false, undefined);
    u.id = id;
    return u;
  }

  get sent(): number {
    let sum = this.stored;
    for (const n of this.flying.values()) sum += n;
    return Math.min(sum, this.size);
  }

  get over(): boolean {
    const { at } = this.state;
    return at === 'done' || at === 'skipped' || at === 'failed' || at === 'cancelled';
  }

  get moving(): boolean {
    return !this.over && this.state.at !== 'queued';
  }
}
