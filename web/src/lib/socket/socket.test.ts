import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../api/client';
import { newUUID, Socket, type LinkState } from './socket';

class FakeWebSocket {
  static all: FakeWebSocket[] = [];
  onopen: (() => void) | undefined;
  onmessage: ((e: { data: unknown }) => void) | undefined;
  onclose: (() => void) | undefined;
  sent: { id: string; data: object; uuid: string }[] = [];
  closed = false;

  constructor(readonly address: string) {
    FakeWebSocket.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as (typeof this.sent)[0]);
  }
  close() {
    this.closed = true;
  }
  receive(frame: object | string) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }
}

let states: LinkState['at'][];
let refused: ApiError | undefined;
let address: () => Promise<string>;
let socket: Socket;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  FakeWebSocket.all = [];
  states = [];
  refused = undefined;
  let n = 0;
  address = async () => `ws://cloud.test/?ticket=${++n}`;
  socket = new Socket({
    address: () => address(),
    changed: (s) => states.push(s.at),
    refused: (e) => (refused = e),
    open: (a) => new FakeWebSocket(a) as unknown as WebSocket,
  });
});
afterEach(() => {
  socket.close();
  vi.useRealTimers();
});

const last = () => FakeWebSocket.all.at(-1)!;
async function connect() {
  socket.start();
  await vi.advanceTimersByTimeAsync(0);
  last().onopen?.();
}

test('a call gets the reply to it, others go to those who listen', async () => {
  await connect();
  const heard: unknown[] = [];
  socket.on('s2c:entry-changed', (d) => heard.push(d));
  const first = socket.call('c2s:a', { x: 1 });
  const second = socket.call('c2s:b', {});
  const [a, b] = last().sent;
  expect(a).toMatchObject({ id: 'c2s:a', data: { x: 1 } });
  last().receive({ id: 's2c:b', data: { n: 2 }, uuid: newUUID(), reply_uuid: b!.uuid });
  last().receive({ id: 's2c:entry-changed', data: { e: 1 }, uuid: newUUID() });
  last().receive('no json');
  last().receive({ id: 's2c:a', data: { n: 1 }, uuid: newUUID(), reply_uuid: a!.uuid });
  await expect(second).resolves.toEqual({ id: 's2c:b', data: { n: 2 } });
  await expect(first).resolves.toEqual({ id: 's2c:a', data: { n: 1 } });
  expect(heard).toEqual([{ e: 1 }]);
});

test('generic:error is thrown with its code', async () => {
  await connect();
  const call = socket.call('c2s:a', {});
  last().receive({ id: 'generic:error', data: { code: 'denied', message: 'not yours' }, uuid: newUUID(), reply_uuid: last().sent[0]!.uuid });
  await expect(call).rejects.toMatchObject({ code: 'denied', message: 'not yours' });
});

test('a call without an answer gives up, and one without a connection at once', async () => {
  await expect(socket.call('c2s:a', {})).rejects.toMatchObject({ code: 'offline' });
  await connect();
  const call = expect(socket.call('c2s:a', {}, 1_000)).rejects.toMatchObject({ code: 'unavailable' });
  await vi.advanceTimersByTimeAsync(1_000);
  await call;
});

test('a lost connection fails what waits, and comes back with a new ticket, later and later', async () => {
  await connect();
  const call = expect(socket.call('c2s:a', {})).rejects.toMatchObject({ code: 'offline' });
  last().onclose?.();
  await call;
  for (const wait of [500, 1_000, 2_000]) {
    const before = FakeWebSocket.all.length;
    await vi.advanceTimersByTimeAsync(wait - 1);
    expect(FakeWebSocket.all).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeWebSocket.all).toHaveLength(before + 1);
    last().onclose?.();
  }
  expect(FakeWebSocket.all.map((w) => w.address.split('=')[1])).toEqual(['1', '2', '3', '4']);
  await vi.advanceTimersByTimeAsync(4_000);
  last().onopen?.();
  expect(states.at(-1)).toBe('open');
  await vi.advanceTimersByTimeAsync(6_000);
  last().onclose?.(); // it had lasted: the next try comes soon again
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeWebSocket.all).toHaveLength(6);
});

test('tries at once when asked to', async () => {
  await connect();
  last().onclose?.();
  socket.hurry();
  await vi.advanceTimersByTimeAsync(0);
  expect(FakeWebSocket.all).toHaveLength(2);
});

test('a handshake that hangs is given up', async () => {
  socket.start();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(FakeWebSocket.all[0]!.closed).toBe(true);
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeWebSocket.all).toHaveLength(2);
});

test('a connection that only looks open is found out', async () => {
  await connect();
  socket.check();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(states.at(-1)).toBe('waiting');
  await vi.advanceTimersByTimeAsync(500);
  last().onopen?.();
  socket.check();
  last().receive({ id: 's2c:uploads', data: { uploads: [] }, uuid: newUUID(), reply_uuid: last().sent[0]!.uuid });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(states.at(-1)).toBe('open');
});

test('a session that is over ends it, a server that is away does not', async () => {
  address = () => Promise.reject(new ApiError('offline', 'away'));
  socket.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(states).toEqual(['connecting', 'waiting']);
  address = () => Promise.reject(new ApiError('unauthenticated', 'over'));
  await vi.advanceTimersByTimeAsync(500);
  expect(refused?.code).toBe('unauthenticated');
  expect(states.at(-1)).toBe('closed');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeWebSocket.all).toHaveLength(0);
});

test('closed is closed', async () => {
  await connect();
  socket.close();
  last().onclose?.();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeWebSocket.all).toHaveLength(1);
  expect(last().closed).toBe(true);
});

test('UUIDs are of version 4, with and without randomUUID', () => {
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(newUUID()).toMatch(form);
  vi.stubGlobal('crypto', { getRandomValues: (b: Uint8Array) => b.fill(255) });
  expect(newUUID()).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff');
});
