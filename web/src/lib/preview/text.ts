import type { Client } from '../api/client';
import type { Entry } from '../api/types';

/** How much of a text is fetched to be shown. */
export const mostBytes = 1 << 20;

/** The beginning of a file as text, and whether there is more of it. Throws ApiError. */
export async function beginning(client: Client, entry: Entry, signal: AbortSignal): Promise<{ text: string; more: boolean }> {
  if (entry.size === 0) return { text: '', more: false };
  const bytes = await client.bytes(`/api/entries/${entry.id}/content`, { range: [0, mostBytes - 1], signal });
  return { text: decode(new Uint8Array(bytes)), more: entry.size > bytes.byteLength };
}

/** UTF-8 or UTF-16 with its mark; bytes that are neither are read as Western European. */
export function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    // As a stream: the last character may have been cut.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}
