// Opens one attachment with nothing but a master key, by the storage format's
// description and with WebCrypto: a second reader, independent of the product.
//
//   node reader.mjs MASTER_KEY_BASE64 ATTACHMENT PAYLOAD_OUT
//
// Prints the header and the extension as JSON; exit status 1 with a reason on
// standard error for anything that is not exactly right.
import { readFileSync, writeFileSync } from 'node:fs';
import { webcrypto } from 'node:crypto';

const { subtle } = webcrypto;
const [, , masterText, from, to] = process.argv;
const master = Buffer.from(masterText, 'base64');
const sealed = readFileSync(from);

function refuse(why) {
  console.error(why);
  process.exit(1);
}

async function derive(ikm, salt, info, bytes) {
  const key = await subtle.importKey('raw', ikm, 'HKDF', false, ['deriveBits']);
  return Buffer.from(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info: Buffer.from(info) }, key, bytes * 8));
}

if (master.length !== 32) refuse('the master key is not 32 bytes');
if (sealed.length < 160) refuse('shorter than 160 bytes');
const object = sealed.subarray(0, 16);
const salt = sealed.subarray(16, 48);
const objectKey = await derive(master, object, 'discord-cloud/1 object', 32);
const chunk = await derive(objectKey, salt, 'discord-cloud/1 chunk', 76);
if (!chunk.subarray(32, 64).equals(sealed.subarray(48, 80))) refuse('not sealed under this master key');
const key = await subtle.importKey('raw', chunk.subarray(0, 32), 'AES-GCM', false, ['decrypt']);

async function open(number, last, aad, data) {
  const iv = Buffer.from(chunk.subarray(64, 76));
  iv[7] ^= last;
  iv.writeUInt32BE((iv.readUInt32BE(8) ^ number) >>> 0, 8);
  try {
    return Buffer.from(await subtle.decrypt({ name: 'AES-GCM', iv, additionalData: aad, tagLength: 128 }, key, data));
  } catch {
    return refuse(`piece ${number} does not open`);
  }
}

const h = await open(0xffffffff, 0, sealed.subarray(0, 80), sealed.subarray(80, 144));
const unknown = 2n ** 64n - 1n;
const header = {
  version: h[0], suite: h[1], kind: h[2], final: (h[3] & 1) === 1, padded: (h[3] & 2) === 2,
  ext: h.readUInt32BE(4), index: h.readUInt32BE(8), payload: h.readUInt32BE(12),
  offset: Number(h.readBigUInt64BE(16)),
  size: h.readBigUInt64BE(24) === unknown ? null : Number(h.readBigUInt64BE(24)),
  time: Number(h.readBigUInt64BE(32)),
};
if (header.version !== 1 || header.suite !== 1 || header.kind > 6 || (h[3] & ~3) !== 0 || h.readBigUInt64BE(40) !== 0n) refuse('unknown header');
if (header.ext !== 0 && header.ext < 17) refuse('impossible extension');

const aad = sealed.subarray(0, 144);
let extension = null;
if (header.ext > 0) {
  if (144 + header.ext > sealed.length) refuse('the extension is cut');
  extension = JSON.parse((await open(0xfffffffe, 0, aad, sealed.subarray(144, 144 + header.ext))).toString());
}
const body = [];
let at = 144 + header.ext;
for (let i = 0; ; i++) {
  const end = Math.min(sealed.length, at + 65536 + 16);
  const last = end === sealed.length ? 1 : 0;
  if (end - at < 16) refuse('a segment is cut');
  const plain = await open(i, last, aad, sealed.subarray(at, end));
  if (plain.length === 0 && i > 0) refuse('an empty segment beside others');
  body.push(plain);
  at = end;
  if (last) break;
}
const all = Buffer.concat(body);
if (header.payload > all.length || (!header.padded && header.payload !== all.length)) refuse('the payload does not fill the body');
writeFileSync(to, all.subarray(0, header.payload));
console.log(JSON.stringify({ object: object.toString('hex'), header, extension }));
