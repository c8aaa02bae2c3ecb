import { afterEach, expect, test, vi } from 'vitest';
import { askPasskey, bytes, canUsePasskeys, makePasskey, text } from './passkey';

afterEach(() => vi.unstubAllGlobals());

const buffer = (s: string) => new TextEncoder().encode(s).buffer as ArrayBuffer;

function authenticator(does: (asked: { create?: CredentialCreationOptions; get?: CredentialRequestOptions }) => Promise<unknown>) {
  vi.stubGlobal('navigator', { credentials: { create: (create: CredentialCreationOptions) => does({ create }), get: (get: CredentialRequestOptions) => does({ get }) } });
}

const request = { challenge: 'AAEC', rpId: 'cloud.example', allowCredentials: [{ id: '__8', type: 'public-key' }] };
const creation = { challenge: 'AAEC', rp: { name: 'x', id: 'cloud.example' }, user: { id: '-_8', name: 'ada', displayName: 'ada' }, pubKeyCredParams: [], excludeCredentials: [] };

test('base64url goes both ways, with every byte', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(text(all.buffer)).toMatch(/^[\w-]+$/);
  expect(bytes(text(all.buffer))).toEqual(all);
  expect(text(bytes('-_8').buffer)).toBe('-_8');
});

test('questions go to the browser as bytes, its answers to the server as text', async () => {
  let asked: CredentialRequestOptions = {};
  authenticator(({ get }) => {
    asked = get!;
    const response = { clientDataJSON: buffer('client'), authenticatorData: buffer('data'), signature: buffer('signed'), userHandle: buffer('ada') };
    return Promise.resolve({ id: '__8', rawId: bytes('__8').buffer, type: 'public-key', response });
  });
  expect(await askPasskey(request)).toEqual({
    id: '__8', rawId: '__8', type: 'public-key', clientExtensionResults: {},
    response: { clientDataJSON: text(buffer('client')), authenticatorData: text(buffer('data')), signature: text(buffer('signed')), userHandle: text(buffer('ada')) },
  });
  expect(asked.publicKey!.challenge).toEqual(Uint8Array.of(0, 1, 2));
  expect(asked.publicKey!.allowCredentials![0]!.id).toEqual(Uint8Array.of(255, 255));

  authenticator(({ create }) => {
    expect(create?.publicKey).toMatchObject({ user: { id: Uint8Array.of(251, 255), name: 'ada' } });
    return Promise.resolve({ id: 'AA', rawId: buffer('\0'), type: 'public-key', response: { clientDataJSON: buffer('c'), attestationObject: buffer('o'), getTransports: () => ['internal'] } });
  });
  expect(await makePasskey(creation)).toMatchObject({ rawId: 'AA', response: { attestationObject: text(buffer('o')), transports: ['internal'] } });
});

test('what went wrong is told, and an end that the page wished is not', async () => {
  authenticator(() => Promise.reject(new DOMException('', 'InvalidStateError')));
  await expect(makePasskey(creation)).rejects.toThrow('This device has a passkey for this account already.');
  authenticator(() => Promise.reject(new DOMException('', 'NotAllowedError')));
  await expect(askPasskey(request)).rejects.toThrow('No passkey was used.');
  authenticator(() => Promise.resolve(null));
  await expect(askPasskey(request)).rejects.toThrow('No passkey was used.');
  const abort = new AbortController();
  abort.abort();
  authenticator(() => Promise.reject(abort.signal.reason));
  await expect(makePasskey(creation, abort.signal)).rejects.toBe(abort.signal.reason);
});

test('there are passkeys where the server takes them, in a browser that has them', () => {
  vi.stubGlobal('isSecureContext', true);
  expect(canUsePasskeys(location.origin)).toBe(false);
  vi.stubGlobal('PublicKeyCredential', class {});
  expect(canUsePasskeys(location.origin)).toBe(true);
  expect(canUsePasskeys('https://other.example')).toBe(false);
  expect(canUsePasskeys('')).toBe(false);
  expect(canUsePasskeys(undefined)).toBe(false);
  vi.stubGlobal('isSecureContext', false);
  expect(canUsePasskeys(location.origin)).toBe(false);
});
