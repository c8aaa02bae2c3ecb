/** How much of somebody's space is taken, for a bar. */
import type { Space } from '../api/space';
import type { Text } from '../words/words.svelte';

export type Part = { of: 'files' | 'trash' | 'versions'; word: Text; bytes: number; from: number; part: number };
/** Parts are fractions of the bar: of the bound, or of what is there without one. */
export type Room = { used: number; most: number; parts: readonly Part[]; state: 'free' | 'scarce' | 'full' };

const scarceFrom = 0.9;

export function roomOf({ files, trash, versions, quota }: Space): Room {
  const used = files.bytes + trash.bytes + versions.bytes;
  const { most } = quota;
  const whole = Math.max(1, used, most.bytes);
  let from = 0;
  const parts = ([['files', 'Files', files], ['trash', 'Trash', trash], ['versions', 'Versions', versions]] as const).map(([of, word, { bytes }]) => {
    const at = from / whole;
    from += bytes;
    return { of, word, bytes, from: at, part: bytes / whole };
  });
  const taken = Math.max(most.bytes > 0 ? used / most.bytes : 0, most.files > 0 ? quota.used.files / most.files : 0);
  return { used, most: most.bytes, parts, state: taken >= 1 ? 'full' : taken >= scarceFrom ? 'scarce' : 'free' };
}
