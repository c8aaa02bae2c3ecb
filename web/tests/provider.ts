/** A provider of OpenID Connect, as small as one can be: it asks whoever comes whether he wants to go on, and says that he is ann. */
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export const client = { id: 'cloud', secret: 'the secret of the cloud' };

type Asked = { nonce: string; challenge: string; redirect: string };

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Provider {
  private readonly keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  private readonly codes = new Map<string, Asked>();
  private readonly server: Server;

  private constructor(private readonly issuer: string) {
    this.server = createServer((q, r) => {
      this.answer(q, r).catch((e: unknown) => r.writeHead(400).end(String(e)));
    });
  }

  static async start(port: number): Promise<Provider> {
    const provider = new Provider(`http://127.0.0.1:${port}`);
    provider.server.listen(port, '127.0.0.1');
    await once(provider.server, 'listening');
    return provider;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async answer(q: IncomingMessage, r: ServerResponse): Promise<void> {
    const url = new URL(q.url ?? '/', this.issuer);
    const json = (value: unknown) => r.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    const param = (name: string) => url.searchParams.get(name) ?? '';
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        json({
          issuer: this.issuer,
          authorization_endpoint: `${this.issuer}/authorize`,
          token_endpoint: `${this.issuer}/token`,
          jwks_uri: `${this.issuer}/keys`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
        });
        break;
      case '/keys':
        json({ keys: [{ ...this.keys.publicKey.export({ format: 'jwk' }), kid: '1', use: 'sig', alg: 'RS256' }] });
        break;
      case '/authorize': {
        if (param('client_id') !== client.id || param('code_challenge_method') !== 'S256') throw new Error('not a client of this provider');
        const code = randomUUID();
        this.codes.set(code, { nonce: param('nonce'), challenge: param('code_challenge'), redirect: param('redirect_uri') });
        const back = `${param('redirect_uri')}?${new URLSearchParams({ code, state: param('state') })}`;
        r.writeHead(200, { 'Content-Type': 'text/html' }).end(`<title>The club</title><a href="${back.replaceAll('&', '&amp;')}">Go on as ann</a>`);
        break;
      }
      case '/token':
        json(await this.redeem(q));
        break;
      default:
        r.writeHead(204).end();
    }
  }

  /** What a code stands for, once. */
  private async redeem(q: IncomingMessage): Promise<unknown> {
    let text = '';
    for await (const part of q) text += String(part);
    const form = new URLSearchParams(text);
    const basic = Buffer.from((q.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString().split(':').map((s) => decodeURIComponent(s.replaceAll('+', ' ')));
    const asked = this.codes.get(form.get('code') ?? '');
    this.codes.delete(form.get('code') ?? '');
    if (basic[0] !== client.id || basic[1] !== client.secret) throw new Error('not a client of this provider');
    if (asked?.redirect !== form.get('redirect_uri')) throw new Error('not a code for this client');
    if (createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url') !== asked.challenge) throw new Error('not who has asked');
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.issuer, sub: 'person 7', aud: client.id, iat: now, exp: now + 60, nonce: asked.nonce, preferred_username: 'ann', email: 'ann@example.org' };
    const signed = `${encode({ alg: 'RS256', kid: '1' })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), this.keys.privateKey).toString('base64url');
    return { access_token: randomUUID(), token_type: 'Bearer', expires_in: 60, id_token: `${signed}.${signature}` };
  }
}
