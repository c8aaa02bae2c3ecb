import type { Client } from './client';
import type { Second } from './factors';
import type { AppPassword, Service, SessionInfo, Signed, Status, Ticket, User } from './types';

export const status = (c: Client, signal?: AbortSignal) => c.call<Status>('/api/status', { signal });

export const setUp = (c: Client, code: string, username: string, password: string, signal?: AbortSignal) =>
  c.call<Signed>('/api/setup', { method: 'POST', body: code ? { code, username, password } : { username, password }, signal });

/** Signs in, or tells what is asked for besides the password. */
export const signIn = (c: Client, username: string, password: string, signal?: AbortSignal) =>
  c.call<Signed | { second: Second }>('/api/login', { method: 'POST', body: { username, password }, signal });

export const signOut = (c: Client, signal?: AbortSignal) => c.call<void>('/api/logout', { method: 'POST', signal });

export const me = (c: Client, signal?: AbortSignal) => c.call<{ user: User }>('/api/me', { signal });

export const changePassword = (c: Client, previous: string, next: string, signal?: AbortSignal) =>
  c.call<Signed>('/api/password', { method: 'POST', body: { previous, next }, signal, own401: true });

export const socketTicket = (c: Client, signal?: AbortSignal) =>
  c.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'socket' }, signal, own401: true });

export const sessions = (c: Client, signal?: AbortSignal) => c.call<{ sessions: SessionInfo[] }>('/api/sessions', { signal });

export const endSession = (c: Client, id: SessionInfo['id'], signal?: AbortSignal) =>
  c.call<void>(`/api/sessions/${encodeURIComponent(id)}`, { method: 'DELETE', signal });

export const appPasswords = (c: Client, signal?: AbortSignal) => c.call<{ app_passwords: AppPassword[] }>('/api/app-passwords', { signal });

/** The password itself is told in this answer and never again. */
export const makeAppPassword = (c: Client, name: string, readOnly: boolean, signal?: AbortSignal) =>
  c.call<{ app_password: AppPassword; password: string }>('/api/app-passwords', { method: 'POST', body: { name, read_only: readOnly }, signal });

export const endAppPassword = (c: Client, id: AppPassword['id'], signal?: AbortSignal) =>
  c.call<void>(`/api/app-passwords/${encodeURIComponent(id)}`, { method: 'DELETE', signal });

export const makeUser = (c: Client, username: string, password: string, administrator: boolean, signal?: AbortSignal) =>
  c.call<{ user: User }>('/api/users', { method: 'POST', body: { username, password, administrator }, signal });

export const services = (c: Client, signal?: AbortSignal) => c.call<{ services: Service[] }>('/api/services', { signal });

export const users = (c: Client, query: string, signal?: AbortSignal) =>
  c.call<{ users: { id: number; name: string }[] }>(`/api/users?${new URLSearchParams({ query })}`, { signal });
