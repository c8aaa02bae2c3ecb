/** Small files of the kinds that the page shows. */
import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';

/** A picture with a gradient, as PNG. */
export function png(width: number, height: number): Buffer {
  const rows = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * (width * 3 + 1) + 1 + x * 3;
      const ridge = Math.sin(x / 40) * 18 + Math.sin(x / 17) * 7;
      const land = y > height * 0.62 + ridge;
      rows[at] = land ? 40 + (30 * y) / height : 250 - (130 * y) / height;
      rows[at + 1] = land ? 70 + (40 * x) / width : 170 - (40 * y) / height;
      rows[at + 2] = land ? 80 : 120 + (120 * y) / height;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** What a WAV begins with, of so many bytes of sound: 8 or 16 bits a sample. */
export function wavHead(bytes: number, rate: number, channels = 1, bits: 8 | 16 = 8): Buffer {
  const frame = (channels * bits) / 8;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + bytes, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * frame, 28);
  head.writeUInt16LE(frame, 32);
  head.writeUInt16LE(bits, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(bytes, 40);
  return head;
}

/** A tone of so many seconds, as WAV: 8 bits, mono. */
export function wav(seconds: number, rate = 8_000): Buffer {
  const n = seconds * rate;
  return Buffer.concat([wavHead(n, rate), Buffer.from(Array.from({ length: n }, (_, i) => 128 + Math.round(60 * Math.sin((i * 2 * Math.PI * 440) / rate))))]);
}

export const markdown = `# Field notes

The glacier **groaned** all night. See [the map](https://maps.example/glacier) or [nothing](javascript:alert(1)).

<img src=x onerror="document.title='broken in'">

- [x] tents
- [ ] ice screws

| Camp | Height |
| --- | --- |
| One | 1200 m |
`;

export const csv = 'day;station;"rain, mm"\n1;Nord;3,5\n2;"Sør ""B""";12\n';

export const code = 'package main\n\n// main says hello.\nfunc main() {\n\tprintln("hello & <goodbye>")\n}\n';

/** An RC4 cipher: documents with a password are sealed with it, in their oldest form. */
function rc4(key: Buffer, data: Buffer): Buffer {
  const s = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + s[i]! + key[i % key.length]!) & 255;
    [s[i], s[j]] = [s[j]!, s[i]!];
  }
  let i = 0;
  let j = 0;
  return Buffer.from(
    data.map((b) => {
      i = (i + 1) & 255;
      j = (j + s[i]!) & 255;
      [s[i], s[j]] = [s[j]!, s[i]!];
      return b ^ s[(s[i]! + s[j]!) & 255]!;
    }),
  );
}

const md5 = (...parts: Buffer[]) => parts.reduce((h, p) => h.update(p), createHash('md5')).digest();
const padding = Buffer.from('28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a', 'hex');

/** A PDF with a line of text on each page; with a password it is sealed (ISO 32000-1 §7.6.3, revision 2). */
export function pdf(lines: readonly string[], { password, script }: { password?: string; script?: string } = {}): Buffer {
  const id = Buffer.alloc(16, 7);
  const owner = rc4(md5(padding).subarray(0, 5), Buffer.concat([Buffer.from(password ?? ''), padding]).subarray(0, 32));
  const rights = Buffer.from([0xfc, 0xff, 0xff, 0xff]);
  const key = md5(Buffer.concat([Buffer.from(password ?? ''), padding]).subarray(0, 32), owner, rights, id).subarray(0, 5);
  const seal = (number: number, data: Buffer) => (password === undefined ? data : rc4(md5(key, Buffer.from([number & 255, number >> 8, 0, 0, 0])).subarray(0, 10), data));
  const objects: Buffer<ArrayBuffer>[] = [];
  const add = (number: number, body: string | Buffer) => (objects[number] = Buffer.concat([Buffer.from(`${number} 0 obj\n`), Buffer.from(body), Buffer.from('\nendobj\n')]));
  const kids = lines.map((_, i) => `${4 + 2 * i} 0 R`).join(' ');
  const action = script === undefined ? '' : `/OpenAction<</S/JavaScript/JS(${script.replace(/[()\\]/g, '\\$&')})>>`;
  add(1, `<</Type/Catalog/Pages 2 0 R${action}>>`);
  add(2, `<</Type/Pages/Kids[${kids}]/Count ${lines.length}>>`);
  add(3, '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>');
  lines.forEach((line, i) => {
    const at = 4 + 2 * i;
    add(at, `<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents ${at + 1} 0 R>>`);
    const content = seal(at + 1, Buffer.from(`BT /F 32 Tf 72 720 Td (${line}) Tj ET\n0.3 0.35 0.9 rg 72 620 300 60 re f\n`));
    add(at + 1, Buffer.concat([Buffer.from(`<</Length ${content.length}>>stream\n`), content, Buffer.from('\nendstream')]));
  });
  const crypt = 4 + 2 * lines.length;
  if (password !== undefined) add(crypt, `<</Filter/Standard/V 1/R 2/P -4/O<${owner.toString('hex')}>/U<${rc4(key, padding).toString('hex')}>>>`);
  const all = [Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1')];
  const places: number[] = [];
  let at = all[0]!.length;
  for (const [number, object] of objects.entries()) {
    if (!object) continue;
    places[number] = at;
    all.push(object);
    at += object.length;
  }
  const rows = Array.from({ length: objects.length }, (_, n) => (n === 0 ? '0000000000 65535 f \n' : `${String(places[n]).padStart(10, '0')} 00000 n \n`)).join('');
  const encrypt = password === undefined ? '' : `/Encrypt ${crypt} 0 R`;
  all.push(Buffer.from(`xref\n0 ${objects.length}\n${rows}trailer<</Size ${objects.length}/Root 1 0 R/ID[<${id.toString('hex')}><${id.toString('hex')}>]${encrypt}>>\nstartxref\n${at}\n%%EOF\n`));
  return Buffer.concat(all);
}

/** A zip with its members stored, each name in UTF-8; packed on 1 March 2026 at noon. */
export function zip(members: Record<string, Buffer | string>, comment = ''): Buffer {
  const all: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(members)) {
    const [raw, body] = [Buffer.from(name), Buffer.from(content)];
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(0x800, 2);
    facts.writeUInt16LE(12 << 11, 6);
    facts.writeUInt16LE(((2026 - 1980) << 9) | (3 << 5) | 1, 8);
    facts.writeUInt32LE(crc32(body), 10);
    facts.writeUInt32LE(body.length, 14);
    facts.writeUInt32LE(body.length, 18);
    facts.writeUInt16LE(raw.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), facts, place, raw);
    const local = [Buffer.from('PK\x03\x04', 'latin1'), facts, raw, body];
    all.push(...local);
    at += local.reduce((n, b) => n + b.length, 0);
  }
  const end = Buffer.alloc(18);
  const length = directory.reduce((n, b) => n + b.length, 0);
  end.writeUInt16LE(Object.keys(members).length, 4);
  end.writeUInt16LE(Object.keys(members).length, 6);
  end.writeUInt32LE(length, 8);
  end.writeUInt32LE(at, 12);
  end.writeUInt16LE(comment.length, 16);
  return Buffer.concat([...all, ...directory, Buffer.from('PK\x05\x06', 'latin1'), end, Buffer.from(comment)]);
}

/** A JPEG with Exif in front of it that names a camera and a time, such as "2026:03:01 12:00:00". */
export function withExif(jpeg: Buffer, camera: string, taken: string): Buffer {
  const text = (s: string) => Buffer.from(`${s}\0`);
  const tags: [number, Buffer][] = [
    [0x0110, text(camera)],
    [0x0132, text(taken)],
  ];
  const ifd = (list: [number, Buffer][], extra: [number, number] | undefined, base: number) => {
    const count = list.length + (extra ? 1 : 0);
    const head = Buffer.alloc(2 + 12 * count + 4);
    head.writeUInt16LE(count, 0);
    let data = Buffer.alloc(0);
    list.forEach(([tag, value], i) => {
      head.writeUInt16LE(tag, 2 + 12 * i);
      head.writeUInt16LE(2, 4 + 12 * i);
      head.writeUInt32LE(value.length, 6 + 12 * i);
      head.writeUInt32LE(base + head.length + data.length, 10 + 12 * i);
      data = Buffer.concat([data, value]);
    });
    if (extra) {
      const i = list.length;
      head.writeUInt16LE(extra[0], 2 + 12 * i);
      head.writeUInt16LE(4, 4 + 12 * i);
      head.writeUInt32LE(1, 6 + 12 * i);
      head.writeUInt32LE(extra[1], 10 + 12 * i);
    }
    return Buffer.concat([head, data]);
  };
  const size = ifd(tags, [0x8769, 0], 8).length;
  const tiff = Buffer.concat([Buffer.from('II*\0\x08\0\0\0', 'latin1'), ifd(tags, [0x8769, 8 + size], 8), ifd([[0x9003, text(taken)]], undefined, 8 + size)]);
  const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff]);
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(body.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, body, jpeg.subarray(2)]);
}
