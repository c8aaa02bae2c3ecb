import { flushSync } from 'svelte';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiError, explainPassword } from '../api/client';
import { Attempt } from './attempt.svelte';
import { Loaded } from './loaded.svelte';

/** What is made in a component, and how that goes. */
function within<T>(make: () => T): { made: T; leave: () => void } {
  let made!: T;
  const leave = $effect.root(() => void (made = make()));
  flushSync();
  return { made, leave };
}

/** Work that is done when the test says so. */
function slow<T = void>() {
  let resolve!: (value: T) => void;
  return { promise: new Promise<T>((r) => (resolve = r)), resolve: (value: T) => resolve(value) };
}
const refused = () => Promise.reject(new ApiError('exists', 'the name is taken'));

describe('an attempt', () => {
  let a: Attempt;
  let leave: () => void;
  beforeEach(() => void ({ made: a, leave } = within(() => new Attempt())));

  test('is made once, however often it is asked for', async () => {
    const { promise, resolve } = slow();
    const work = vi.fn(() => promise);
    const first = a.do(work);
    expect(a.busy).toBe(true);
    expect(await a.do(work)).toBe(false);
    resolve();
    expect(await first).toBe(true);
    expect(a.busy).toBe(false);
    expect(work).toHaveBeenCalledOnce();
  });

  test('says what went wrong until the next one', async () => {
    expect(await a.do(refused)).toBe(false);
    expect(a.error).toBe('The name is taken.');
    expect(a.busy).toBe(false);
    const { promise, resolve } = slow();
    const next = a.do(() => promise);
    expect(a.error).toBe('');
    resolve();
    expect(await next).toBe(true);
  });

  test('takes what is thrown at once as well', async () => {
    expect(
      await a.do(() => {
        throw new Error('no bound');
      }),
    ).toBe(false);
    expect(a.error).toBe('No bound.');
  });

  test('is forgotten with its component', async () => {
    const done = slow();
    const going = a.do(() => done.promise);
    leave();
    done.resolve();
    expect(await going).toBe(false); // there is nothing to close
    expect(await a.do(refused)).toBe(false);
    expect(a.error).toBe('');
  });

  test('has words of its own where they are given', async () => {
    const { made } = within(() => new Attempt(explainPassword));
    await made.do(() => Promise.reject(new ApiError('unauthenticated', 'wrong name or password')));
    expect(made.error).toBe('The current password is wrong.');
  });
});

describe('what is loaded', () => {
  test('is the answer to the last question', async () => {
    const answers: ReturnType<typeof slow<string>>[] = [];
    const { made: l } = within(() => new Loaded(() => (answers.push(slow<string>()), answers.at(-1)!.promise)));
    expect(l.waiting).toBe(true);
    const [first, second] = [l.read(), l.read()];
    answers[1]!.resolve('new');
    answers[0]!.resolve('old');
    await Promise.all([first, second]);
    expect(l.value).toBe('new');
    expect(l.waiting).toBe(false);
  });

  test('goes on behind what is shown', async () => {
    const { made: l } = within(() => new Loaded<number[]>(async (_, shown) => [...(shown ?? []), shown?.length ?? 0]));
    await l.read();
    await l.more();
    await l.more();
    expect(l.value).toEqual([0, 1, 2]);
    await l.read();
    expect(l.value).toEqual([0]);
  });

  test('stays while it cannot be read again', async () => {
    let ask = () => Promise.resolve(1);
    const { made: l } = within(() => new Loaded(() => ask()));
    await l.read();
    ask = refused;
    await l.read();
    expect([l.value, l.error]).toEqual([1, 'The name is taken.']);
    ask = () => Promise.resolve(2);
    await l.read();
    expect([l.value, l.error]).toEqual([2, '']);
  });

  test('is read again after what was done, not after what was refused', async () => {
    let n = 0;
    const { made: l } = within(() => new Loaded(async () => ++n));
    await l.read();
    expect(await l.after(refused)).toBe(false);
    expect([l.value, l.error]).toEqual([1, 'The name is taken.']);
    expect(await l.after(() => undefined)).toBe(true);
    expect([l.value, l.error]).toEqual([2, '']);
  });

  test('is not asked for, and not taken, when its component has gone', async () => {
    const signals: AbortSignal[] = [];
    const answer = slow<number>();
    const { made: l, leave } = within(() => new Loaded((signal) => (signals.push(signal), answer.promise)));
    const reading = l.read();
    leave();
    expect(signals[0]!.aborted).toBe(true);
    answer.resolve(1);
    await reading;
    await l.read();
    expect([l.value, signals.length]).toEqual([undefined, 1]);
  });
});
