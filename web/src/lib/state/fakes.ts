/** Things for tests of the state: entries, and a server behind fetch. */
import { vi } from 'vitest';
import type { Entry } from '../api/types';

export function entry(id: number, name: string, more: Partial<Entry> = {}): Entry {
  return {
    id,
    parent: 0,
    name,
    kind: 'file',
    size: 1,
    type: '',
    has_thumbnail: false,
    created_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-01-01T00:00:00Z',
    modified_at: '2026-01-01T00:00:00Z',
    owner: null,
    public: true,
    access: 'public',
    can: 'rw',
    ...more,
  };
}

type Answer = { status?: number; body?: unknown } | Error;

/** Answers requests by "METHOD /path"; gives what was asked, in its order. */
export function serve(route: (method: string, path: string, body: unknown, init: RequestInit) => Answer | Promise<Answer>): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
    const path = url.replace(/^https?:\/\/[^/]+/, '');
    asked.push(`${init.method ?? 'GET'} ${path}`);
    const answer = await route(init.method ?? 'GET', path, init.body ? JSON.parse(String(init.body)) : undefined, init);
    init.signal?.throwIfAborted();
    if (answer instanceof Error) throw answer;
    const { status = 200, body = {} } = answer;
    return new Response(status === 204 ? null : typeof body === 'string' ? body : JSON.stringify(body), { status });
  });
  return asked;
}

export const refusal = (status: number, code: string, message = code) => ({ status, body: { error: { code, message } } });
