/** What administrators ask. Bounds of 0 are none; sizes are bytes. */
import { ApiError, type Client } from './client';
import type { User } from './types';

export type Amount = { files: number; bytes: number };
export type Account = User & { disabled: boolean; created_at: string; used: Amount; most: Amount; own: boolean; seen_at: string | null };
export type Accounts = { accounts: Account[]; next: string };
export type Group = { id: number; name: string };
export type Standing = 'open' | 'draining' | 'revoked';
export type KnownService = {
  id: string;
  type: 'upload' | 'thumbnail';
  name: string;
  version: string;
  peer: string;
  connected: boolean;
  since: string | null;
  busy: number;
  capacity: number;
  standing: Standing;
  quarantined?: boolean;
  lacks?: string;
  parts: number;
  bytes: number;
  failures: number;
  failure: string;
  failed_at: string | null;
};
export type Lane = { bot: string; channel: string; messages: number; wait: number; out?: string }; // wait in ns
export type Bucket = { route: string; major: string; limit: number; left: number; waiting: number; reset: string };
export type Bot = {
  bot: string;
  blocked: boolean;
  breaker: { open: boolean; refused: number; limit: number };
  buckets: Bucket[] | null;
  counts: { requests: number; retries: number; limited: number; refused: number; posted_bytes: number; fetched_bytes: number };
};
export type Services = { services: KnownService[]; discord?: { bots: Bot[] | null }; blobs?: { waiting: number; lanes: Lane[] | null } };
export type Job = { name: 'trash' | 'collector' | 'orphans' | 'thumbnails'; paused: boolean; updated_at: string | null; state: Record<string, unknown> | null };
export type Part = { messages: number; bytes: number };
export type Storage = {
  channels: { channel: string; messages: number; attachments: number; bytes: number; garbage_bytes: number }[];
  messages: number;
  bytes: number;
  garbage: { objects: number; bytes: number };
  due: Part;
  deleted: Part;
  orphans: Part;
  missing: number;
  skipped: number;
};
export type Preview = { messages: number; bytes: number; kept: number; kept_bytes: number; due: number };
export type Deletion = { channel: string; message: string; state: string; reason: string; orphan: boolean; attachments: number; bytes: number; due_at: string; ended_at: string | null };
export type Quotas = { all: { used: Amount; reserved: Amount; most: Amount }; others: Amount };
export type AuditRecord = { number: number; at: string; action: string; done: boolean; user: { id: number; name: string } | null; address: string; about: string; detail: string };
export type AuditPage = { records: AuditRecord[]; next: number };
export type Check = { name: string; ok: boolean; problem: string; detail: string };
/** How the mail goes, since the start of the server. */
export type Mail = { configured: false } | { configured: true; server: string; from: string; queued: number; sent: number; failed: number; last_error: string; last_error_at: string | null };
export type Setting = { name: string; value: string; default: string; help: string; set: boolean };
export type System = {
  version: string;
  system: { started_at: string; database: string; free_bytes: number; disk_bytes: number; thumbnails: string; settings: Setting[] };
  checks: Check[];
};

export const accounts = (c: Client, query: string, after: string, signal?: AbortSignal) =>
  c.call<Accounts>(`/api/accounts?${new URLSearchParams({ query, after, limit: '50' })}`, { signal });

export const changeUser = (c: Client, id: number, change: { disabled: boolean } | { administrator: boolean }) =>
  c.call<unknown>(`/api/users/${id}`, { method: 'PATCH', body: change });

export const deleteUser = (c: Client, id: number, heir: number, trash: boolean) => c.call<void>(`/api/users/${id}/delete`, { method: 'POST', body: { heir, trash } });

/** Tells the new password, this once. */
export const resetPassword = (c: Client, id: number) => c.call<{ password: string }>(`/api/users/${id}/password`, { method: 'POST' });

/** Takes away all that a user shows besides the password. */
export const resetFactors = (c: Client, id: number) => c.call<void>(`/api/users/${id}/reset-factors`, { method: 'POST' });

export const quotas = (c: Client, signal?: AbortSignal) => c.call<Quotas>('/api/quotas?limit=1', { signal });

/** Bounds a user; 0 is all together, 'others' everybody without bounds of his own. No bounds take a user's own away. */
export const setQuota = (c: Client, user: number | 'others', most: Amount | undefined) =>
  c.call<unknown>(`/api/quotas/${user}`, most ? { method: 'PUT', body: most } : { method: 'DELETE' });

export const groups = (c: Client, signal?: AbortSignal) => c.call<{ groups: Group[] }>('/api/groups', { signal });
export const makeGroup = (c: Client, name: string) => c.call<{ group: Group }>('/api/groups', { method: 'POST', body: { name } });
export const renameGroup = (c: Client, id: number, name: string) => c.call<unknown>(`/api/groups/${id}`, { method: 'PATCH', body: { name } });
export const deleteGroup = (c: Client, id: number) => c.call<void>(`/api/groups/${id}`, { method: 'DELETE' });
export const members = (c: Client, id: number, signal?: AbortSignal) => c.call<{ users: Group[] }>(`/api/groups/${id}/members`, { signal });
export const setMember = (c: Client, group: number, user: number, on: boolean) => c.call<void>(`/api/groups/${group}/members/${user}`, { method: on ? 'PUT' : 'DELETE' });

export const services = (c: Client, signal?: AbortSignal) => c.call<Services>('/api/admin/services', { signal });
export const setStanding = (c: Client, { type, name }: KnownService, standing: Standing) =>
  c.call<Services>('/api/admin/services', { method: 'POST', body: { type, name, standing } });

export const jobs = (c: Client, signal?: AbortSignal) => c.call<{ jobs: Job[] }>('/api/admin/jobs', { signal });
export const setJob = (c: Client, job: Job['name'], what: { paused: boolean } | { run: true } | { retry: true }) =>
  c.call<{ jobs: Job[] }>(`/api/admin/jobs/${job}`, { method: 'POST', body: what });
export const storage = (c: Client, signal?: AbortSignal) => c.call<Storage>('/api/admin/storage', { signal });
export const dryRun = (c: Client) => c.call<Preview>('/api/admin/collect');
export const deletions = (c: Client, state: string, signal?: AbortSignal) => c.call<{ deletions: Deletion[] }>(`/api/admin/deletions?state=${state}&limit=200`, { signal });

export const auditLog = (c: Client, params: URLSearchParams, signal?: AbortSignal) => c.call<AuditPage>(`/api/audit?${params}`, { signal });
export const verifyLog = (c: Client, signal?: AbortSignal) => c.call<{ records: number; sum: string; fault: string }>('/api/audit/verify', { signal });
/** The whole log that is asked for, as a file. */
export async function exportLog(c: Client, params: URLSearchParams, format: 'csv' | 'jsonl'): Promise<Blob> {
  const all = new URLSearchParams(params);
  all.set('format', format);
  const bytes = await c.bytes(`/api/audit/export?${all}`);
  if (bytes.byteLength === 0) throw new ApiError('not_found', 'nothing was found');
  return new Blob([bytes]);
}

export const mail = (c: Client, signal?: AbortSignal) => c.call<Mail>('/api/admin/mail', { signal });

export const system = (c: Client, signal?: AbortSignal) => c.call<System>('/api/admin/system', { signal });
