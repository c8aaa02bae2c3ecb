/** The bytes of a folder by kinds of files, for a chart: the largest, and the rest as one. */
import type { Usage } from '../api/space';
import { lookOf, type Look } from '../kind';
import type { Text } from '../words/words.svelte';

export type Share = { word: Text; tint: Look['tint']; bytes: number; part: number };

/** By MIME types, as the server counts them; parts are of 1. */
export function sharesOf(types: Readonly<Record<string, number>>): Share[] {
  const total = Object.values(types).reduce((sum, n) => sum + n, 0);
  const shares = new Map<string, Share>();
  for (const [type, bytes] of Object.entries(types)) {
    if (bytes <= 0) continue;
    const { word: kind, tint } = lookOf({ kind: 'file', name: '', type });
    const word = tint === 'file' ? 'Other' : kind;
    const share = shares.get(word) ?? { word, tint, bytes: 0, part: 0 };
    share.bytes += bytes;
    share.part = share.bytes / total;
    shares.set(word, share);
  }
  return [...shares.values()].sort((a, b) => b.bytes - a.bytes);
}

export type FolderShare = { word: string; tint: Look['tint']; bytes: number; part: number };

/** By folders of the top, the largest first; those of one name, as hidden ones, are one share. */
export function sharesByFolder(usage: readonly Usage[], nameOf: (folder: number, name: string) => string): FolderShare[] {
  const total = usage.reduce((sum, u) => sum + u.bytes, 0);
  const shares = new Map<string, FolderShare>();
  for (const { folder, name, bytes } of usage) {
    if (bytes <= 0) continue;
    const word = nameOf(folder, name);
    const share = shares.get(word) ?? { word, tint: folder > 0 ? 'folder' : 'file', bytes: 0, part: 0 };
    share.bytes += bytes;
    share.part = share.bytes / total;
    shares.set(word, share);
  }
  return [...shares.values()].sort((a, b) => b.bytes - a.bytes);
}
