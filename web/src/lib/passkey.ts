/** Passkeys: the browser's side of what the server asks. Options and answers are the JSON forms of the Web Authentication API. */
import { t } from './words/words.svelte';

export type RequestOptions = PublicKeyCredentialRequestOptionsJSON;
export type CreationOptions = PublicKeyCredentialCreationOptionsJSON;

/** Whether this page can ask for passkeys that a server takes at an origin, '' for none. */
export function canUsePasskeys(at: string | undefined): boolean {
  return at === location.origin && isSecureContext && 'PublicKeyCredential' in globalThis;
}

/** Asks for one that is there. Throws what to tell the person. */
export async function askPasskey(options: RequestOptions, signal?: AbortSignal): Promise<unknown> {
  const { challenge, allowCredentials, extensions: _, ...rest } = options;
  const credential = await asked(
    navigator.credentials.get({
      publicKey: {
        ...rest,
        challenge: bytes(challenge),
        ...(allowCredentials ? { allowCredentials: allowCredentials.map(descriptor) } : {}),
      } as PublicKeyCredentialRequestOptions,
      ...(signal ? { signal } : {}),
    }),
    signal,
  );
  const r = credential.response as AuthenticatorAssertionResponse;
  return answer(credential, {
    clientDataJSON: text(r.clientDataJSON),
    authenticatorData: text(r.authenticatorData),
    signature: text(r.signature),
    ...(r.userHandle ? { userHandle: text(r.userHandle) } : {}),
  });
}

/** Makes a new one. Throws what to tell the person. */
export async function makePasskey(options: CreationOptions, signal?: AbortSignal): Promise<unknown> {
  const { challenge, user, excludeCredentials, extensions: _, ...rest } = options;
  const credential = await asked(
    navigator.credentials.create({
      publicKey: {
        ...rest,
        challenge: bytes(challenge),
        user: { ...user, id: bytes(user.id) },
        excludeCredentials: (excludeCredentials ?? []).map(descriptor),
      } as PublicKeyCredentialCreationOptions,
      ...(signal ? { signal } : {}),
    }),
    signal,
  );
  const r = credential.response as AuthenticatorAttestationResponse;
  return answer(credential, {
    clientDataJSON: text(r.clientDataJSON),
    attestationObject: text(r.attestationObject),
    transports: r.getTransports?.() ?? [],
  });
}

async function asked(question: Promise<Credential | null>, signal: AbortSignal | undefined): Promise<PublicKeyCredential> {
  let credential: Credential | null;
  try {
    credential = await question;
  } catch (e) {
    if (signal?.aborted) throw e;
    // Which of many things it was, browsers do not tell a page.
    throw new Error(e instanceof DOMException && e.name === 'InvalidStateError' ? t('This device has a passkey for this account already.') : t('No passkey was used.'), { cause: e });
  }
  if (!credential) throw new Error(t('No passkey was used.'));
  return credential as PublicKeyCredential;
}

const answer = (c: PublicKeyCredential, response: Record<string, unknown>) => ({
  id: c.id,
  rawId: text(c.rawId),
  type: c.type,
  response,
  clientExtensionResults: {},
  ...(c.authenticatorAttachment ? { authenticatorAttachment: c.authenticatorAttachment } : {}),
});

const descriptor = (d: PublicKeyCredentialDescriptorJSON) => ({ ...d, id: bytes(d.id) });

/** Base64url, without padding. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}

export function text(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
