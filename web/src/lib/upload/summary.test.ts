import { expect, test } from 'vitest';
import { Speed } from './speed';
import { foremost, summarise } from './summary';
import { Upload, type State } from './upload';

function upload(name: string, size: number, state: State, sent = 0): Upload {
  const u = Upload.of(new File([new Uint8Array(size)], name), '/', false);
  u.state = state;
  u.stored = sent;
  return u;
}

test('what is given up counts for nothing', () => {
  const uploads = [
    upload('a', 100, { at: 'done', name: 'a' }, 100),
    upload('b', 100, { at: 'sending' }, 40),
    upload('c', 50, { at: 'cancelled' }, 20),
    upload('d', 50, { at: 'failed', message: 'x' }),
  ];
  expect(summarise(uploads)).toEqual({ files: 4, over: 3, done: 1, failed: 1, asking: 0, interrupted: 0, paused: 0, missing: 0, bytes: 200, sent: 140 });
});

test('trouble comes first, what is over last, the newest of it first', () => {
  const uploads = [
    upload('done 1', 1, { at: 'done', name: '' }),
    upload('done 2', 1, { at: 'done', name: '' }),
    upload('queued', 1, { at: 'queued' }),
    upload('sending', 1, { at: 'sending' }),
    upload('failed', 1, { at: 'failed', message: '' }),
  ];
  expect(foremost(uploads, 4).map((u) => u.name)).toEqual(['failed', 'sending', 'queued', 'done 2']);
});

test('the speed is that of the last seconds', () => {
  const speed = new Speed(4_000);
  expect(speed.rate).toBe(0);
  speed.note(0, 0);
  speed.note(1_000_000, 1_000);
  expect(speed.rate).toBe(1_000_000);
  for (let t = 2_000; t <= 10_000; t += 1_000) speed.note(1_000_000 + (t - 1_000) * 10, t);
  expect(speed.rate).toBe(10_000);
  speed.note(5, 11_000); // the list was cleared
  expect(speed.rate).toBe(0);
});
