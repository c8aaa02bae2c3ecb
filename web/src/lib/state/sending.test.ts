import { expect, test, vi } from 'vitest';
import { ApiError, Client } from '../api/client';
import type { Hand } from '../upload/hand';
import { Sendings } from './sending.svelte';

/** Hands files over as a test says, one answer after the other. */
function slow() {
  const under: { name: string; progress: (n: number) => void; arrive: () => void; fail: (e: Error) => void }[] = [];
  const hand: Hand = (_, file, progress, signal) =>
    new Promise((arrive, fail) => {
      under.push({ name: file.name, progress, arrive, fail });
      signal.addEventListener('abort', () => fail(signal.reason as Error));
    });
  return { under, hand };
}

const file = (name: string) => new File(['12345'], name);
const states = (s: Sendings) => s.list.map((x) => x.state.at);

test('two files are on their way at a time, in their order', async () => {
  const { under, hand } = slow();
  const over = vi.fn();
  const s = new Sendings(() => new Client('http://cloud.test'), over, hand);
  s.add(['a', 'b', 'c'].map(file));
  expect(states(s)).toEqual(['sending', 'sending', 'waiting']);
  under[0]!.progress(3);
  expect(s.list[0]!.state).toEqual({ at: 'sending', sent: 3 });
  under[0]!.arrive();
  await vi.waitFor(() => expect(under.map((u) => u.name)).toEqual(['a', 'b', 'c']));
  expect(states(s)).toEqual(['done', 'sending', 'sending']);
  expect(over).toHaveBeenCalledOnce();
});

test('what was refused or cancelled can be sent once more', async () => {
  const { under, hand } = slow();
  const s = new Sendings(() => new Client('http://cloud.test'), vi.fn(), hand);
  s.add(['a', 'b', 'c'].map(file));
  under[0]!.fail(new ApiError('full', 'no space'));
  s.cancel(s.list[1]!);
  s.cancel(s.list[2]!);
  await vi.waitFor(() => expect(states(s)).toEqual(['failed', 'cancelled', 'cancelled']));
  expect(s.list[0]!.state).toEqual({ at: 'failed', message: 'The server has no space left.' });
  under[1]!.progress(5); // too late
  s.again(s.list[0]!);
  s.again(s.list[1]!);
  await vi.waitFor(() => expect(states(s)).toEqual(['sending', 'sending', 'cancelled']));
  for (const u of under.slice(-2)) u.arrive();
  await vi.waitFor(() => expect(states(s)).toEqual(['done', 'done', 'cancelled']));
  s.again(s.list[0]!); // there is nothing to do
  expect(states(s)).toEqual(['done', 'done', 'cancelled']);
});
