/**
 * Reads a BlurHash (github.com/woltapp/blurhash, Algorithm.md): the lowest
 * frequencies of a picture in letters of base 83.
 */
const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';

function number(digits: string): number {
  let n = 0;
  for (const c of digits) {
    const i = letters.indexOf(c);
    if (i < 0) return NaN;
    n = n * 83 + i;
  }
  return n;
}

const toLinear = (b: number) => (b <= 10 ? b / 255 / 12.92 : ((b / 255 + 0.055) / 1.055) ** 2.4);
const toSRGB = (v: number) => Math.round(255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * Math.min(v, 1) ** (1 / 2.4) - 0.055));
const step = (n: number) => Math.sign(n - 9) * ((n - 9) / 9) ** 2;

type Colour = [number, number, number];

/** The pixels of a picture of that size, as canvas has them; undefined for what is no hash. */
export function blur(hash: string, width: number, height: number): Uint8ClampedArray<ArrayBuffer> | undefined {
  const shape = number(hash.slice(0, 1));
  const across = (shape % 9) + 1;
  const down = Math.floor(shape / 9) + 1;
  if (hash.length < 6 || hash.length !== 4 + 2 * across * down) return undefined;
  const most = (number(hash[1]!) + 1) / 166;
  const mean = number(hash.slice(2, 6));
  const factors: Colour[] = [[toLinear(mean >> 16), toLinear((mean >> 8) & 255), toLinear(mean & 255)]];
  for (let i = 6; i < hash.length; i += 2) {
    const n = number(hash.slice(i, i + 2));
    factors.push([most * step(Math.floor(n / 361)), most * step(Math.floor(n / 19) % 19), most * step(n % 19)]);
  }
  if (factors.some((f) => f.some(Number.isNaN))) return undefined;
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sum: Colour = [0, 0, 0];
      factors.forEach((f, i) => {
        const basis = Math.cos((Math.PI * x * (i % across)) / width) * Math.cos((Math.PI * y * Math.floor(i / across)) / height);
        for (let c = 0; c < 3; c++) sum[c]! += f[c]! * basis;
      });
      for (let c = 0; c < 3; c++) pixels[4 * (y * width + x) + c] = toSRGB(Math.max(0, sum[c]!));
    }
  }
  return pixels;
}
