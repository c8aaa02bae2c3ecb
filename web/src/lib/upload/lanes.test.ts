import { expect, test } from 'vitest';
import { Lanes } from './lanes';

const never = new AbortController().signal;

test('as many as there are lanes, the others in their order', async () => {
  const lanes = new Lanes(1);
  const order: string[] = [];
  const first = await lanes.take(never);
  const second = lanes.take(never).then((free) => (order.push('second'), free));
  const third = lanes.take(never).then((free) => (order.push('third'), free));
  expect(order).toEqual([]);
  first();
  first(); // a second time changes nothing
  (await second)();
  (await third)();
  expect(order).toEqual(['second', 'third']);
});

test('who stops waiting takes no lane', async () => {
  const lanes = new Lanes(1);
  const free = await lanes.take(never);
  const stop = new AbortController();
  const waiting = lanes.take(stop.signal);
  const last = lanes.take(never);
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
  free();
  (await last)();
  await expect(lanes.take(stop.signal)).rejects.toThrow('stopped');
});
