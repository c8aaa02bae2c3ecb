// @vitest-environment node
import { expect, test } from 'vitest';
import { zip } from '../../../tests/samples';
import { contents, NotAZip } from './zip';

function reader(bytes: Buffer) {
  const asked: [number, number][] = [];
  const read = (from: number, to: number) => {
    asked.push([from, to]);
    return Promise.resolve(Uint8Array.from(bytes.subarray(from, to)).buffer);
  };
  return { asked, list: (most = 100) => contents(bytes.length, read, most) };
}

test('lists names, sizes and times from the end of the file alone', async () => {
  const { asked, list } = reader(zip({ 'maps/': '', 'maps/küste ☕.txt': 'x'.repeat(70_000), 'a.bin': Buffer.alloc(200_000) }, 'a comment PK\x05\x06'));
  const { members, count } = await list();
  expect(count).toBe(3);
  expect(members.map((m) => [m.name, m.folder, m.size])).toEqual([['maps/', true, 0], ['maps/küste ☕.txt', false, 70_000], ['a.bin', false, 200_000]]);
  expect(members[1]!.modified).toEqual(new Date(2026, 2, 1, 12));
  expect(asked).toHaveLength(2);
  expect(asked.reduce((n, [from, to]) => n + to - from, 0)).toBeLessThan(70_000);
});

test('counts all, and gives no more than wanted', async () => {
  const { list } = reader(zip(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, '']))));
  const { members, count } = await list(20);
  expect([members.length, count]).toEqual([20, 50]);
});

test('finds the directory behind bytes that stand before the zip', async () => {
  const { list } = reader(Buffer.concat([Buffer.alloc(5_000, 0x90), zip({ 'setup.txt': 'hello' })]));
  expect((await list()).members.map((m) => m.name)).toEqual(['setup.txt']);
});

test('takes the record for large zips before the plain one', async () => {
  const plain = zip({ a: 'b', c: 'd' });
  const end = plain.indexOf('PK\x05\x06');
  const [record, locator] = [Buffer.alloc(56), Buffer.alloc(20)];
  record.write('PK\x06\x06', 'latin1');
  for (const [at, from] of [[32, 8], [40, 12], [48, 16]] as const) record.writeUInt32LE(from === 8 ? 2 : plain.readUInt32LE(end + from), at);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeUInt32LE(end, 8);
  const { list } = reader(Buffer.concat([plain.subarray(0, end), record, locator, plain.subarray(end)]));
  expect((await list()).members.map((m) => m.name)).toEqual(['a', 'c']);
});

test('reads names of DOS, and sizes beyond four bytes', async () => {
  const plain = zip({ 'xxxx.txt': 'y' });
  const at = plain.indexOf('PK\x01\x02');
  plain.writeUInt16LE(0, at + 8); // not UTF-8
  plain.set([0x81, 0x84, 0x94, 0xe1], at + 46); // üäöß in code page 437
  plain.writeUInt32LE(0xffffffff, at + 24);
  plain.writeUInt16LE(12, at + 30);
  const extra = Buffer.from('010008000000000001000000', 'hex'); // 2^32
  const end = plain.indexOf('PK\x05\x06');
  plain.writeUInt32LE(plain.readUInt32LE(end + 12) + extra.length, end + 12);
  const { list } = reader(Buffer.concat([plain.subarray(0, at + 54), extra, plain.subarray(at + 54)]));
  expect((await list()).members.map((m) => [m.name, m.size])).toEqual([['üäöß.txt', 2 ** 32]]);
});

test('says of what is no zip that it is none', async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(100_000, 80)]) await expect(reader(bytes).list()).rejects.toThrow(NotAZip);
  const torn = zip({ a: 'b' });
  torn.writeUInt32LE(0x7fffffff, torn.indexOf('PK\x05\x06') + 16);
  await expect(reader(torn).list()).rejects.toThrow(NotAZip);
  const wild = zip({ a: 'b' });
  wild.writeUInt32LE(1, wild.indexOf('PK\x01\x02'));
  await expect(reader(wild).list()).rejects.toThrow(NotAZip);
});
