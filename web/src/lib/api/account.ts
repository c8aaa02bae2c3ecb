import type { Client } from './client';
import type { Signed, Status, Ticket, User } from './types';

export const status = (c: Client, signal?: AbortSignal) => c.call<Status>('/api/status', { signal });

export const setUp = (c: Client, code: string, username: string, password: string, signal?: AbortSignal) =>
  c.call<Signed>('/api/setup', { method: 'POST', body: code ? { code, username, password } : { username, password }, signal });

export const signIn = (c: Client, username: string, password: string, signal?: AbortSignal) =>
  c.call<Signed>('/api/login', { method: 'POST', body: { username, password }, signal });

export const signOut = (c: Client, signal?: AbortSignal) => c.call<void>('/api/logout', { method: 'POST', signal });

export const me = (c: Client, signal?: AbortSignal) => c.call<{ user: User }>('/api/me', { signal });

export const changePassword = (c: Client, previous: string, next: string, signal?: AbortSignal) =>
  c.call<Signed>('/api/password', { method: 'POST', body: { previous, next }, signal, own401: true });

export const socketTicket = (c: Client, signal?: AbortSignal) =>
  c.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'socket' }, signal, own401: true });
