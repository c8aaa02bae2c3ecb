import { describe, expect, it } from 'vitest';
import { factsOf, formatLength } from './facts';

describe('factsOf', () => {
  it('says what is known, and nothing else', () => {
    expect(factsOf(undefined)).toEqual([]);
    expect(factsOf({})).toEqual([]);
    expect(factsOf({ width: 4032, height: 3024, camera: 'Example X1', taken_at: 'no date' })).toEqual([
      ['Dimensions', '4,032 × 3,024'],
      ['Camera', 'Example X1'],
    ]);
    expect(factsOf({ title: 'A film', width: 640, duration: 8000 })).toEqual([
      ['Title', 'A film'],
      ['Length', '0:08'],
    ]);
  });
});

describe('formatLength', () => {
  it('is as players have it', () => {
    expect([1, 59_000, 60_000, 605_400, 3_723_000].map(formatLength)).toEqual(['0:01', '0:59', '1:00', '10:05', '1:02:03']);
  });
});
