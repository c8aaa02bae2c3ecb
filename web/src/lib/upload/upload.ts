/** One file on its way. */

export type Answer = 'skip' | 'overwrite' | 'rename';

export type State =
  | { at: 'queued' }
  | { at: 'starting' }
  | { at: 'sending' }
  | { at: 'interrupted' } // goes on by itself when it can
  | { at: 'paused' } // by a person
  | { at: 'missing'; ask: boolean } // of an earlier visit: its file has to be picked again, or (ask) the browser be allowed to read it
  | { at: 'finishing' } // all parts are stored
  | { at: 'asking' } // the name is taken, a person decides
  | { at: 'done'; name: string }
  | { at: 'skipped' }
  | { at: 'failed'; message: string }
  | { at: 'cancelled' };

/** Gives the handle of a file, if there is one. */
export type Source = () => Promise<FileSystemFileHandle | undefined>;

/** A folder that a path begins in: 0 is the top. Its name is not known of what an earlier visit has begun. */
export type Base = { id: number; name?: string };
const top: Base = { id: 0 };

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
  /** Hash of the file, once it is known. */
  hash = '';
  /** When the file was changed, in milliseconds; 0 where only its upload is known. */
  modified = 0;
  /** Failed tries since something was stored. */
  setbacks = 0;

  private constructor(
    readonly name: string,
    readonly size: number,
    /** Folder it goes to, such as /a/b, from base on. */
    readonly path: string,
    /** Where the path begins: below folders that are hidden there is no way from the top. */
    readonly base: Base,
    readonly isPublic: boolean,
    /** Missing for what an earlier visit to the page has sent. */
    public file: File | undefined,
    /** Finds the file again on a later visit, where the browser has a way. */
    readonly source: Source | undefined,
  ) {}

  static of(file: File, path: string, isPublic: boolean, source?: Source, base = top): Upload {
    const u = new Upload(file.name, file.size, path, base, isPublic, file, source);
    u.modified = file.lastModified;
    return u;
  }

  /** An upload of an earlier visit that lacks parts, and its file. */
  static unfinished(id: string, name: string, path: string, size: number, stored: number, source?: Source, base = top): Upload {
    const u = new Upload(name, size, path, base, false, undefined, source);
    u.id = id;
    u.stored = stored;
    u.state = { at: 'missing', ask: false };
    return u;
  }

  /** An upload of an earlier visit: all its parts are stored, only a question is open. */
  static ofEarlier(id: string, name: string, path: string, base = top): Upload {
    const u = new Upload(name, 0, path, base, false, undefined, undefined);
    u.id = id;
    return u;
  }

  /** What the folder is called that it goes to; '' is the top, undefined where that is not known. */
  get place(): string | undefined {
    if (this.path !== '/') return this.path.split('/').at(-1);
    return this.base.id === 0 ? '' : this.base.name;
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
    const { at } = this.state;
    return !this.over && at !== 'queued' && at !== 'paused' && at !== 'missing';
  }
}
