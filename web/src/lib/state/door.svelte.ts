import type { Departure } from '../api/door';

const awayKey = 'discord-cloud-away';

/** Why somebody has come by an address with a secret behind the "#". */
export type Errand =
  | { at: 'invite' | 'reset' | 'address'; token: string }
  | { at: 'forgot' } // from the sign-in
  | { at: 'return'; state: string; code: string; key: string; to: 'sign-in' | 'link' }; // from another provider

/** How somebody comes in who has no account yet, or cannot sign in by name and password. */
export class Door {
  errand = $state.raw<Errand | undefined>(errandOf(location.hash));

  constructor() {
    // It is used once, and stays out of the history.
    if (this.errand) history.replaceState(null, '', location.pathname);
  }

  close(): void {
    this.errand = undefined;
  }
}

/** Goes to another provider, to be known again on the way back. */
export function leave(departure: Departure, to: 'sign-in' | 'link'): void {
  sessionStorage.setItem(awayKey, JSON.stringify({ key: departure.key, to }));
  location.assign(departure.url);
}

export function errandOf(hash: string): Errand | undefined {
  const said = new URLSearchParams(hash.slice(1));
  for (const at of ['invite', 'reset', 'address'] as const) {
    const token = said.get(at);
    if (token) return { at, token };
  }
  const state = said.get('openid');
  if (state === null) return undefined;
  return { at: 'return', state, code: said.get('code') ?? '', ...keptAway() };
}

function keptAway(): { key: string; to: 'sign-in' | 'link' } {
  const kept = sessionStorage.getItem(awayKey);
  sessionStorage.removeItem(awayKey);
  try {
    const { key, to } = JSON.parse(kept ?? '{}') as { key?: unknown; to?: unknown };
    return { key: typeof key === 'string' ? key : '', to: to === 'link' ? 'link' : 'sign-in' };
  } catch {
    return { key: '', to: 'sign-in' };
  }
}
