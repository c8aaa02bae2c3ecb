/** What one shows besides the password: one-time codes, passkeys, recovery codes. */
import type { CreationOptions, RequestOptions } from '../passkey';
import type { Client } from './client';
import type { Signed } from './types';

export type Method = 'code' | 'passkey' | 'recovery_code';

/** What a sign-in lacks after the password. */
export type Second = { state: string; expires_at: string; methods: Method[] };

export type Passkey = { id: number; name: string; server: string; created_at: string; used_at: string | null };
export type Factors = { totp: { created_at: string } | null; passkeys: Passkey[]; recovery_codes: number };

/** A secret of one-time codes that is not in force yet. */
export type Offer = { state: string; secret: string; uri: string; expires_at: string };

/** Codes that are told this once; null where those of before are good. */
export type Told = { recovery_codes: string[] | null };

type Asked<T> = { state: string; options: T };

const post = <T>(c: Client, path: string, body: unknown, signal?: AbortSignal) => c.call<T>(path, { method: 'POST', body, signal, own401: true });

export const signInCode = (c: Client, state: string, code: string, signal?: AbortSignal) => post<Signed>(c, '/api/login/code', { state, code }, signal);

/** Asks for a passkey: of the user of a sign-in, or of anybody. */
export const signInQuestion = (c: Client, state?: string, signal?: AbortSignal) => post<Asked<RequestOptions>>(c, '/api/login/passkey', state ? { state } : {}, signal);

export const signInPasskey = (c: Client, state: string, credential: unknown, signal?: AbortSignal) =>
  post<Signed>(c, '/api/login/passkey/answer', { state, credential }, signal);

export const factors = (c: Client, signal?: AbortSignal) => c.call<Factors>('/api/factors', { signal });

export const offerTOTP = (c: Client, password: string, signal?: AbortSignal) => post<Offer>(c, '/api/factors/totp', { password }, signal);

export const confirmTOTP = (c: Client, state: string, code: string, signal?: AbortSignal) => post<Told>(c, '/api/factors/totp/confirm', { state, code }, signal);

export const removeTOTP = (c: Client, password: string, signal?: AbortSignal) => post<void>(c, '/api/factors/totp/remove', { password }, signal);

export const passkeyQuestion = (c: Client, password: string, signal?: AbortSignal) => post<Asked<CreationOptions>>(c, '/api/factors/passkeys', { password }, signal);

export const addPasskey = (c: Client, state: string, name: string, credential: unknown, signal?: AbortSignal) =>
  post<Told & { passkey: Passkey }>(c, '/api/factors/passkeys/answer', { state, name, credential }, signal);

export const renamePasskey = (c: Client, id: Passkey['id'], name: string, signal?: AbortSignal) =>
  c.call<{ name: string }>(`/api/factors/passkeys/${id}`, { method: 'PATCH', body: { name }, signal });

export const removePasskey = (c: Client, id: Passkey['id'], password: string, signal?: AbortSignal) =>
  post<void>(c, `/api/factors/passkeys/${id}/remove`, { password }, signal);

export const makeRecoveryCodes = (c: Client, password: string, signal?: AbortSignal) => post<Told>(c, '/api/factors/recovery-codes', { password }, signal);
