import { Client, ApiError } from '../api/client';
import * as account from '../api/account';
import * as factors from '../api/factors';
import type { Signed, Status, User } from '../api/types';
import { askPasskey } from '../passkey';
import { t } from '../words/words.svelte';

const storageKey = 'discord-cloud-session';
const serverKey = 'discord-cloud-server';
const knownKey = 'discord-cloud-servers';
const mostKnown = 8;

/** A server that was used from here, and the session on it; '' for none. */
type Known = { server: string; token: string };

export type Stage =
  | { at: 'starting' }
  | { at: 'address'; message: string } // which server? the page was served from elsewhere
  | { at: 'setup'; needsCode: boolean }
  | { at: 'sign-in'; message: string }
  | { at: 'signed-in'; user: User }
  | { at: 'unreachable' };

/** Who is signed in, on which server. */
export class Session {
  stage = $state.raw<Stage>({ at: 'starting' });
  client = $state.raw(new Client(location.origin));

  /** The one-time code of the address that the server printed. */
  code = new URLSearchParams(location.hash.slice(1)).get('setup') ?? '';

  /** The origin at which the server takes passkeys. */
  passkeysAt = $state('');

  /** Whether the server sends mail, and by which other provider people may sign in; '' for none. */
  mail = $state(false);
  openid = $state('');

  /** Servers that were used from here, the last one first. */
  known = $state.raw<readonly Known[]>(keptServers());

  private renewal: Promise<void> | undefined;

  async start(): Promise<void> {
    if (this.code) history.replaceState(null, '', location.pathname); // it is used once, and stays out of the history
    const kept = localStorage.getItem(serverKey);
    if (kept) {
      await this.use(kept);
      return;
    }
    try {
      await this.open(new Client(location.origin));
    } catch (e) {
      this.stage = foreign(e) ? { at: 'address', message: '' } : { at: 'unreachable' };
    }
  }

  /** Takes a server's address from a person; the stage says how that went. */
  async use(address: string): Promise<void> {
    const origin = serverOrigin(address);
    if (!origin) {
      this.stage = { at: 'address', message: t('That is not an address like https://cloud.example.') };
      return;
    }
    try {
      await this.open(new Client(origin));
      if (origin === location.origin) localStorage.removeItem(serverKey);
      else localStorage.setItem(serverKey, origin);
    } catch (e) {
      const message = foreign(e) ? t('There is no discord-cloud at this address.') : t('The server cannot be reached, or does not take requests from this page.');
      this.stage = { at: 'address', message };
    }
  }

  /** Asks for another server; the session on this one is kept for a return. */
  leaveServer(): void {
    localStorage.removeItem(serverKey);
    this.stage = { at: 'address', message: '' };
  }

  /** Drops a server from those that are remembered, with the session on it. */
  forgetServer(server: string): void {
    this.keep(this.known.filter((k) => k.server !== server));
  }

  private keep(known: readonly Known[]): void {
    this.known = known.slice(0, mostKnown);
    localStorage.setItem(knownKey, JSON.stringify(this.known));
  }

  private remember(server: string, token: string): void {
    this.keep([{ server, token }, ...this.known.filter((k) => k.server !== server)]);
  }

  async setUp(code: string, username: string, password: string): Promise<void> {
    this.signedIn(await account.setUp(this.client, code, username, password));
  }

  /** Signs in, or gives what is to follow the password. */
  async signIn(username: string, password: string): Promise<factors.Second | undefined> {
    const answer = await account.signIn(this.client, username, password);
    if ('second' in answer) return answer.second;
    this.signedIn(answer);
    return undefined;
  }

  /** Finishes a sign-in with a one-time code, or a recovery code. */
  async signInCode(second: factors.Second, code: string): Promise<void> {
    this.signedIn(await factors.signInCode(this.client, second.state, code));
  }

  /** Signs in with a passkey: after the password, or instead of it. */
  async signInPasskey(second?: factors.Second): Promise<void> {
    const { client } = this;
    const { state, options } = await factors.signInQuestion(client, second?.state);
    this.signedIn(await factors.signInPasskey(client, state, await askPasskey(options)));
  }

  /** All other sessions end; this one goes on under a new token. */
  async changePassword(previous: string, next: string): Promise<void> {
    this.renewal = account.changePassword(this.client, previous, next).then((signed) => this.signedIn(signed));
    try {
      await this.renewal;
    } finally {
      this.renewal = undefined;
    }
  }

  /** Resolves when no new token is on its way. */
  async renewed(): Promise<void> {
    await this.renewal?.catch(() => undefined);
  }

  async signOut(): Promise<void> {
    try {
      await account.signOut(this.client);
    } catch {
      // What counts is that this browser forgets; the session expires.
    }
    this.forget('');
  }

  forget(message = t('Your session has ended. Please sign in again.')): void {
    localStorage.removeItem(storageKey);
    this.remember(this.client.server, '');
    this.client.token = '';
    this.stage = { at: 'sign-in', message };
  }

  private async open(client: Client): Promise<void> {
    const status: Status = await account.status(client);
    if (typeof status?.setup_required !== 'boolean') throw new ApiError('invalid', 'not a discord-cloud');
    client.onSignedOut = () => this.forget();
    this.client = client;
    this.passkeysAt = status.passkeys_at ?? '';
    this.mail = status.mail ?? false;
    this.openid = status.openid ?? '';
    if (status.setup_required) {
      this.stage = { at: 'setup', needsCode: status.setup_needs_code };
      return;
    }
    const token = keptToken(client.server) || (this.known.find((k) => k.server === client.server)?.token ?? '');
    if (!token) {
      this.stage = { at: 'sign-in', message: '' };
      return;
    }
    client.token = token;
    try {
      const { user } = await account.me(client);
      this.remember(client.server, token);
      localStorage.setItem(storageKey, JSON.stringify({ server: client.server, token }));
      this.stage = { at: 'signed-in', user };
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== 'unauthenticated') throw e;
    }
  }

  /** Goes on as who has shown a server in another way who he is. */
  enter(client: Client, signed: Signed): void {
    client.onSignedOut = () => this.forget();
    this.client = client;
    this.signedIn(signed);
  }

  private signedIn({ token, user }: Signed): void {
    this.client.token = token;
    localStorage.setItem(storageKey, JSON.stringify({ server: this.client.server, token }));
    this.remember(this.client.server, token);
    this.code = '';
    this.stage = { at: 'signed-in', user };
  }
}

/** Whether something answered that is no discord-cloud. */
function foreign(e: unknown): boolean {
  return e instanceof ApiError && e.code !== 'offline' && e.status < 500 && e.status !== 429;
}

function keptServers(): Known[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(knownKey) ?? '[]');
    return Array.isArray(kept) ? kept.filter((k): k is Known => typeof k?.server === 'string' && typeof k.token === 'string') : [];
  } catch {
    return [];
  }
}

function keptToken(server: string): string {
  try {
    const kept = JSON.parse(localStorage.getItem(storageKey) ?? 'null') as { server?: string; token?: string } | null;
    return kept?.server === server ? (kept.token ?? '') : '';
  } catch {
    return '';
  }
}

/** The origin of what a person typed; '' if it is no address. */
export function serverOrigin(text: string): string {
  const typed = text.trim();
  if (!typed) return '';
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(typed) ? typed : `${location.protocol}//${typed}`);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.origin : '';
  } catch {
    return '';
  }
}
