import { describe, expect, it } from 'vitest';
import { blur } from './blurhash';

const at = (pixels: Uint8ClampedArray, width: number, x: number, y: number) => [...pixels.slice(4 * (y * width + x), 4 * (y * width + x) + 4)];

describe('blur', () => {
  it('reads what the server writes', () => {
    // Of a picture that is red (200, 30, 30) on the left and blue on the right.
    const p = blur('L#G;l7|TsSJqo3n~jsa}fQfQfQfQ', 16, 12);
    expect(p).toHaveLength(4 * 16 * 12);
    const [r, , b, alpha] = at(p!, 16, 2, 6);
    expect(r).toBeGreaterThan(b! + 80);
    expect(alpha).toBe(255);
    const [r2, , b2] = at(p!, 16, 14, 6);
    expect(b2).toBeGreaterThan(r2! + 80);
  });

  it('gives the one colour of a picture that has no other', () => {
    const p = blur('00IhTv', 4, 4); // one frequency: a mean of 0x5a7896
    expect(at(p!, 4, 0, 0)).toEqual(at(p!, 4, 3, 3));
  });

  it('takes nothing else for one', () => {
    for (const no of ['', 'L', 'L"HV6nWB2yk8pyo0adR*.7kCMdnj', 'LEHV6nWB2yk8pyo0adR*.7kCMdn', '<script>', '€'.repeat(28)]) expect(blur(no, 4, 4)).toBeUndefined();
  });
});
