/**
 * The list of what is in a zip, read from its end: the central directory names
 * everything, so that a zip of any size costs a few requests. Format: APPNOTE.TXT
 * 6.3.10, sections 4.3.12 to 4.3.16.
 */

/** Reads bytes of a file from one place up to another, which is not included. */
export type Read = (from: number, to: number) => Promise<ArrayBuffer>;

export type Member = {
  /** As it stands in the zip, with slashes: something to show, never a place to write to. */
  name: string;
  folder: boolean;
  size: number;
  packed: number;
  /** Local time of whoever packed it, undefined where it is none. */
  modified: Date | undefined;
  encrypted: boolean;
};

export type Contents = { members: Member[]; /** How many there are in all. */ count: number };

/** The file is no zip, or a damaged one. */
export class NotAZip extends Error {}

const endSize = 22;
const longestComment = 0xffff;
/** How much of a directory is read: enough for some ten thousand names. */
const mostDirectory = 4 << 20;

export async function contents(size: number, read: Read, most: number): Promise<Contents> {
  const from = Math.max(0, size - endSize - longestComment);
  const tail = new DataView(await read(from, size));
  const end = findEnd(tail);
  if (end < 0) throw new NotAZip();
  let count = tail.getUint16(end + 10, true);
  let length = tail.getUint32(end + 12, true);
  let start = tail.getUint32(end + 16, true);
  let before = from + end; // the directory ends here, if nothing stands between
  // Some write the record for large zips always, with true numbers in the plain one too.
  const large = await largeEnd(tail, from, end, read);
  if (large) ({ count, length, start, before } = large);
  // Programs that unpack themselves put bytes before the zip: offsets count from where it begins.
  const shift = before - length - start;
  const at = shift > 0 ? start + shift : start;
  if (at < 0 || at + length > size) throw new NotAZip();
  const directory = new DataView(await read(at, at + Math.min(length, mostDirectory)));
  return { members: membersOf(directory, Math.min(count, most)), count };
}

function findEnd(tail: DataView): number {
  for (let i = tail.byteLength - endSize; i >= 0; i--) {
    if (tail.getUint32(i, true) === 0x06054b50 && i + endSize + tail.getUint16(i + 20, true) <= tail.byteLength) return i;
  }
  return -1;
}

/** What the end says of a zip with too many or too large members for its plain form. */
async function largeEnd(tail: DataView, from: number, end: number, read: Read) {
  const locator = end - 20;
  if (locator < 0 || tail.getUint32(locator, true) !== 0x07064b50) return undefined;
  const at = number64(tail, locator + 8);
  if (at + 56 > from + end) throw new NotAZip();
  const record = new DataView(await read(at, at + 56));
  if (record.getUint32(0, true) !== 0x06064b50) throw new NotAZip();
  return { count: number64(record, 32), length: number64(record, 40), start: number64(record, 48), before: at };
}

function membersOf(directory: DataView, most: number): Member[] {
  const members: Member[] = [];
  let at = 0;
  while (members.length < most && at + 46 <= directory.byteLength) {
    if (directory.getUint32(at, true) !== 0x02014b50) throw new NotAZip();
    const flags = directory.getUint16(at + 8, true);
    const nameLength = directory.getUint16(at + 28, true);
    const extraLength = directory.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + directory.getUint16(at + 32, true);
    if (next > directory.byteLength) break; // the rest was not read
    const raw = new Uint8Array(directory.buffer, directory.byteOffset + at + 46, nameLength);
    const extra = new DataView(directory.buffer, directory.byteOffset + at + 46 + nameLength, extraLength);
    const name = nameIn(extra) ?? ((flags & 0x800) !== 0 || isUTF8(raw) ? new TextDecoder().decode(raw) : dosText(raw));
    const sizes = sizesIn(extra, directory.getUint32(at + 24, true), directory.getUint32(at + 20, true));
    members.push({
      name,
      folder: name.endsWith('/'),
      ...sizes,
      modified: dosTime(directory.getUint16(at + 14, true), directory.getUint16(at + 12, true)),
      encrypted: (flags & 1) !== 0,
    });
    at = next;
  }
  return members;
}

/** The extra fields of a member: their numbers and what is in them. */
function* fields(extra: DataView): Generator<[number, DataView]> {
  for (let at = 0; at + 4 <= extra.byteLength; ) {
    const length = extra.getUint16(at + 2, true);
    if (at + 4 + length > extra.byteLength) return;
    yield [extra.getUint16(at, true), new DataView(extra.buffer, extra.byteOffset + at + 4, length)];
    at += 4 + length;
  }
}

/** Sizes of four bytes, or those of eight that stand in for them. */
function sizesIn(extra: DataView, size: number, packed: number): { size: number; packed: number } {
  for (const [id, field] of fields(extra)) {
    if (id !== 1) continue;
    let at = 0;
    const take = (plain: number) => {
      if (plain !== 0xffffffff || at + 8 > field.byteLength) return plain;
      at += 8;
      return number64(field, at - 8);
    };
    return { size: take(size), packed: take(packed) };
  }
  return { size, packed };
}

/** The name in the field that Info-ZIP keeps it in, beside one of an older code page. */
function nameIn(extra: DataView): string | undefined {
  for (const [id, field] of fields(extra)) {
    if (id === 0x7075 && field.byteLength > 5) return new TextDecoder().decode(new Uint8Array(field.buffer, field.byteOffset + 5, field.byteLength - 5));
  }
  return undefined;
}

function number64(view: DataView, at: number): number {
  const n = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(n)) throw new NotAZip();
  return n;
}

function isUTF8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The upper half of code page 437, in which DOS wrote names. */
const dosLetters =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

function dosText(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => (b < 0x80 ? String.fromCharCode(b) : dosLetters[b - 0x80])).join('');
}

function dosTime(date: number, time: number): Date | undefined {
  const month = (date >> 5) & 15;
  const day = date & 31;
  if (month < 1 || month > 12 || day < 1) return undefined;
  return new Date(1980 + (date >> 9), month - 1, day, time >> 11, (time >> 5) & 63, (time & 31) * 2);
}
