/** Small files of the kinds that the page shows. */
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

/** A tone of so many seconds, as WAV: 8 bits, mono. */
export function wav(seconds: number, rate = 8_000): Buffer {
  const n = seconds * rate;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + n, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(n, 40);
  return Buffer.concat([head, Buffer.from(Array.from({ length: n }, (_, i) => 128 + Math.round(60 * Math.sin((i * 2 * Math.PI * 440) / rate))))]);
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
