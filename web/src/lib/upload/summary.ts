/** What there is to say about all uploads together. */
import type { Upload } from './upload';

export type Summary = {
  files: number;
  /** Over, well or not. */
  over: number;
  done: number;
  failed: number;
  asking: number;
  interrupted: number;
  paused: number;
  /** Of earlier visits, without their files. */
  missing: number;
  /** Bytes of what is not given up. */
  bytes: number;
  sent: number;
};

export function summarise(uploads: readonly Upload[]): Summary {
  const s: Summary = { files: 0, over: 0, done: 0, failed: 0, asking: 0, interrupted: 0, paused: 0, missing: 0, bytes: 0, sent: 0 };
  for (const u of uploads) {
    s.files++;
    if (u.over) s.over++;
    if (u.state.at === 'done') s.done++;
    if (u.state.at === 'failed') s.failed++;
    if (u.state.at === 'asking') s.asking++;
    if (u.state.at === 'interrupted') s.interrupted++;
    if (u.state.at === 'paused') s.paused++;
    if (u.state.at === 'missing') s.missing++;
    if (u.over && u.state.at !== 'done') continue;
    s.bytes += u.size;
    s.sent += u.sent;
  }
  return s;
}

const ranks = { failed: 0, asking: 1, missing: 1, paused: 2, sending: 2, finishing: 2, starting: 2, interrupted: 2, queued: 3, done: 4, skipped: 4, cancelled: 4 } as const;

/** What a person looks for first: trouble, then what moves, then what waits, then what is over. At most so many. */
export function foremost(uploads: readonly Upload[], most: number): Upload[] {
  const groups: Upload[][] = [[], [], [], [], []];
  for (const u of uploads) groups[ranks[u.state.at]]!.push(u);
  groups[4]!.reverse();
  const first: Upload[] = [];
  for (const group of groups) first.push(...group.slice(0, most - first.length));
  return first;
}
