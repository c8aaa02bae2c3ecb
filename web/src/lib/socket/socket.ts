/**
 * The packet connection of version 2: one text frame is one JSON record. It
 * reconnects by itself, with a new ticket each time, until it is closed.
 */
import { ApiError, type Code } from '../api/client';

export type Data = Record<string, unknown>;
type Frame = { id: string; data: Data; uuid: string; reply_uuid?: string };

export type LinkState =
  | { at: 'connecting' }
  | { at: 'open' }
  | { at: 'waiting'; until: number } // epoch milliseconds of the next try
  | { at: 'closed' };

type Waiter = { resolve: (f: { id: string; data: Data }) => void; reject: (e: Error) => void; timer: ReturnType<typeof setTimeout> };

export type SocketOptions = {
  /** Gives the address of the next connection, with a fresh ticket in it. */
  address: () => Promise<string>;
  changed: (state: LinkState) => void;
  /** The server refuses for good: the session is over. */
  refused: (e: ApiError) => void;
  open?: (address: string) => WebSocket;
};

const firstWait = 500;
const longestWait = 15_000;
const handshake = 10_000;
/** A connection that lasted so long was a good one: the next try comes soon. */
const steady = 5_000;

export class Socket {
  private ws: WebSocket | undefined;
  private state: LinkState = { at: 'closed' };
  private tries = 0;
  private opened = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly waiting = new Map<string, Waiter>();
  private readonly handlers = new Map<string, Set<(data: Data) => void>>();

  constructor(private readonly options: SocketOptions) {}

  get isOpen(): boolean {
    return this.state.at === 'open';
  }

  start(): void {
    if (this.state.at === 'closed') void this.connect();
  }

  close(): void {
    clearTimeout(this.timer);
    const { ws } = this;
    this.ws = undefined;
    this.tries = 0;
    this.set({ at: 'closed' });
    this.drop(new ApiError('offline', 'the connection was closed'));
    ws?.close(1000);
  }

  /** Tries at once instead of waiting: the network is back, or a person asked. */
  hurry(): void {
    if (this.state.at !== 'waiting') return;
    clearTimeout(this.timer);
    void this.connect();
  }

  /** Calls f for each packet of the id that nobody waits for. */
  on(id: string, f: (data: Data) => void): () => void {
    const set = this.handlers.get(id) ?? new Set();
    this.handlers.set(id, set);
    set.add(f);
    return () => set.delete(f);
  }

  /** Sends a packet and waits for its reply. A generic:error is thrown as ApiError. */
  call(id: string, data: Data, wait = 10_000): Promise<{ id: string; data: Data }> {
    return new Promise((resolve, reject) => {
      if (!this.ws || !this.isOpen) {
        reject(new ApiError('offline', 'there is no connection to the server'));
        return;
      }
      const uuid = newUUID();
      const timer = setTimeout(() => {
        this.waiting.delete(uuid);
        reject(new ApiError('unavailable', 'the server did not answer in time'));
      }, wait);
      this.waiting.set(uuid, { resolve, reject, timer });
      this.ws.send(JSON.stringify({ id, data, uuid } satisfies Frame));
    });
  }

  /** Sends a packet that is not answered. Without a connection it is lost. */
  send(id: string, data: Data): void {
    if (this.isOpen) this.ws?.send(JSON.stringify({ id, data, uuid: newUUID() } satisfies Frame));
  }

  /** Makes sure that the connection lives: after sleep or a change of network a dead one looks open for minutes. */
  check(): void {
    if (!this.isOpen) {
      this.hurry();
      return;
    }
    const { ws } = this;
    this.call('c2s:uploads-request', {}, 5_000).catch((e: unknown) => {
      if (ws && this.ws === ws && e instanceof ApiError && e.code === 'unavailable') this.lose(ws);
    });
  }

  private set(state: LinkState): void {
    this.state = state;
    this.options.changed(state);
  }

  private async connect(): Promise<void> {
    this.set({ at: 'connecting' });
    let address: string;
    try {
      address = await this.options.address();
    } catch (e) {
      if (this.closed()) return;
      if (e instanceof ApiError && (e.code === 'unauthenticated' || e.code === 'denied')) {
        this.close();
        this.options.refused(e);
        return;
      }
      this.retry();
      return;
    }
    if (this.closed()) return;
    const ws = (this.options.open ?? ((a) => new WebSocket(a)))(address);
    this.ws = ws;
    const timer = setTimeout(() => this.lose(ws), handshake);
    ws.onopen = () => {
      clearTimeout(timer);
      if (this.ws !== ws) return;
      this.opened = Date.now();
      this.set({ at: 'open' });
    };
    ws.onmessage = (e) => {
      if (this.ws === ws) this.receive(e.data);
    };
    ws.onclose = () => {
      clearTimeout(timer);
      this.lose(ws);
    };
  }

  private lose(ws: WebSocket): void {
    if (this.ws !== ws) return;
    this.ws = undefined;
    if (this.isOpen && Date.now() - this.opened > steady) this.tries = 0;
    ws.close();
    this.retry();
    this.drop(new ApiError('offline', 'the connection to the server was lost'));
  }

  private closed(): boolean {
    return this.state.at === 'closed';
  }

  private retry(): void {
    const wait = Math.min(longestWait, firstWait * 2 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries++;
    this.set({ at: 'waiting', until: Date.now() + wait });
    this.timer = setTimeout(() => void this.connect(), wait);
  }

  private drop(e: Error): void {
    for (const w of this.waiting.values()) {
      clearTimeout(w.timer);
      w.reject(e);
    }
    this.waiting.clear();
  }

  private receive(text: unknown): void {
    if (typeof text !== 'string') return;
    let frame: Frame;
    try {
      frame = JSON.parse(text) as Frame;
    } catch {
      return; // not a packet: the protocol drops it
    }
    if (typeof frame?.id !== 'string' || typeof frame.data !== 'object' || frame.data === null) return;
    const waiter = frame.reply_uuid ? this.waiting.get(frame.reply_uuid) : undefined;
    if (waiter && frame.reply_uuid) {
      this.waiting.delete(frame.reply_uuid);
      clearTimeout(waiter.timer);
      if (frame.id === 'generic:error') {
        waiter.reject(new ApiError(String(frame.data['code']) as Code, String(frame.data['message'] ?? '')));
      } else {
        waiter.resolve({ id: frame.id, data: frame.data });
      }
      return;
    }
    for (const f of this.handlers.get(frame.id) ?? []) f(frame.data);
  }
}

/** A random UUID in lower case. crypto.randomUUID is missing on plain HTTP, getRandomValues is not. */
export function newUUID(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
