/** One way to ask the server: JSON over HTTP with the session's token in a header. */
import { said } from '../words/server';
import { t, tn } from '../words/words.svelte';

export type Code =
  | 'not_found' | 'exists' | 'invalid' | 'unauthenticated' | 'denied' | 'too_large' | 'limited'
  | 'corrupt' | 'full' | 'shutdown' | 'unavailable' | 'internal' | 'offline';

/** A refusal by the server, or 'offline' where it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly code: Code,
    message: string,
    readonly status = 0,
    /** Seconds to wait, where the server said so. */
    readonly wait = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** What to tell a person about an error: the server's words, with advice where a code has some. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return sentence(said(error instanceof Error ? error.message : String(error), ''));
  switch (error.code) {
    case 'offline':
      return t('The server cannot be reached. Check the connection and try again.');
    case 'unauthenticated':
      return sentence(error.message ? said(error.message, error.code) : t('Please sign in again.'));
    case 'limited':
      return error.wait > 0 ? tn(error.wait, 'Too many tries. Wait {n} second and try again.', 'Too many tries. Wait {n} seconds and try again.') : t('Too many tries. Wait a little and try again.');
    case 'unavailable':
    case 'shutdown':
      if (/try again/.test(error.message)) return sentence(said(error.message, error.code)); // it says when
      return `${sentence(said(error.message, error.code))} ${t('Try again in a moment.')}`;
    case 'internal':
      return t('Something went wrong on the server. Its log says more.');
    case 'full':
      return t('The server has no space left.');
    default:
      return sentence(said(error.message, error.code));
  }
}

/** As explain, where the only refusal of who asks is that the password that was asked for again is another. */
export function explainPassword(error: unknown): string {
  return error instanceof ApiError && error.code === 'unauthenticated' ? t('The current password is wrong.') : explain(error);
}

function sentence(text: string): string {
  const t = text.trim();
  if (t === '') return '';
  const capital = t[0]!.toUpperCase() + t.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

export type Call = {
  method?: string;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** The caller deals with a refused token itself. */
  own401?: boolean;
};

export class Client {
  /** Called when the server no longer takes the token. */
  onSignedOut: (() => void) | undefined;

  constructor(
    /** Origin of the server, such as https://cloud.example, without a slash at the end. */
    readonly server: string,
    public token = '',
  ) {}

  url(path: string): string {
    return this.server + path;
  }

  /** The same server for a WebSocket. */
  socketURL(query: string): string {
    return `${this.server.replace(/^http/, 'ws')}/?${query}`;
  }

  /** Throws ApiError; an aborted signal throws its own reason. */
  async call<T>(path: string, { method = 'GET', body, signal, own401 = false }: Call = {}): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    const init: RequestInit = { method, headers };
    if (body !== undefined) {
      headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(body);
    }
    const { token } = this;
    const answer = await this.ask(path, init, signal);
    if (answer.status === 204) return undefined as T;
    let json: unknown;
    try {
      json = await answer.json();
    } catch {
      throw new ApiError(answer.ok ? 'invalid' : 'internal', `the server answered ${answer.status} without JSON`, answer.status);
    }
    if (answer.ok) return json as T;
    const error = refusal(json, answer);
    if (error.code === 'unauthenticated' && !own401 && token && token === this.token) this.onSignedOut?.();
    throw error;
  }

  /** What lies behind a path, or a range of it, the last byte included. Throws as call does. */
  async bytes(path: string, { range, signal }: { range?: [number, number]; signal?: AbortSignal } = {}): Promise<ArrayBuffer> {
    const answer = await this.ask(path, range ? { headers: { Range: `bytes=${range[0]}-${range[1]}` } } : {}, signal);
    if (!answer.ok) throw refusal(await answer.json().catch(() => undefined), answer);
    try {
      return await answer.arrayBuffer();
    } catch (e) {
      if (signal?.aborted) throw e;
      throw new ApiError('unavailable', 'the file ended too early');
    }
  }

  private async ask(path: string, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>) };
    if (this.token) headers['Authorization'] = `Bearer ${this.token}`;
    try {
      return await fetch(this.url(path), { ...init, headers, cache: 'no-store', credentials: 'omit', redirect: 'error', ...(signal ? { signal } : {}) });
    } catch (e) {
      if (signal?.aborted) throw e;
      throw new ApiError('offline', 'the server cannot be reached');
    }
  }
}

/** Does it again for as long as the server only says that it is too much at once. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== 'limited' || e.wait > 10 || tries === 10) throw e;
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, e.wait) * 1_000));
    }
  }
}

function refusal(json: unknown, answer: Response): ApiError {
  const error = (json as { error?: { code?: string; message?: string } } | null)?.error;
  const wait = Number(answer.headers.get('Retry-After') ?? 0) || 0;
  return new ApiError((error?.code ?? 'internal') as Code, error?.message ?? `status ${answer.status}`, answer.status, wait);
}
