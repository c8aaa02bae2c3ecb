import { ApiError, Client, explain } from '../api/client';
import { openedLink, openLink, type OpenedLink } from '../api/links';
import type { Entry, Ticket } from '../api/types';

export type VisitStage =
  | { at: 'opening' }
  | { at: 'password' }
  | { at: 'open'; entry: Entry }
  | { at: 'ended' }
  | { at: 'failed'; message: string };

/** How long a ticket that was used once goes on working, with some room. */
const ticketLife = 11 * 3600_000;

/** How often a link is opened anew for tokens that nothing could be done with. */
const mostRefused = 3;

/** Somebody who has a link: what it opens, as long as it does. The token is nowhere but here. */
export class Visit {
  stage = $state.raw<VisitStage>({ at: 'opening' });
  /** Terms of the link; of the last time that they were asked for. */
  link = $state.raw<OpenedLink | undefined>();
  readonly client: Client;
  private readonly tickets = new Map<number, { ticket: Promise<string>; until: number }>();
  /** How often the token was refused since something was done with one. */
  private refused = 0;

  constructor(
    server: string,
    /** The secret part of the link's address. */
    private readonly text: string,
  ) {
    this.client = new VisitClient(server, (id) => this.ticket({ id, kind: 'file' }));
  }

  /** Opens the link; with a wrong password it throws. */
  async open(password = ''): Promise<void> {
    try {
      const { token, link, entry } = await openLink(this.client, this.text, password);
      this.client.token = token;
      this.link = link;
      this.stage = { at: 'open', entry };
    } catch (e) {
      const code = e instanceof ApiError ? e.code : undefined;
      if (code === 'not_found') this.stage = { at: 'ended' };
      else if (password) throw e;
      else if (code === 'unauthenticated') this.stage = { at: 'password' };
      else this.stage = { at: 'failed', message: explain(e) };
    }
  }

  /** Asks again how many uses are left; the link may have ended meanwhile. */
  async refresh(): Promise<void> {
    await this.ask().catch(() => undefined); // the stage tells
  }

  private async ask(): Promise<void> {
    try {
      this.link = (await openedLink(this.client)).link;
      this.refused = 0;
    } catch (e) {
      if (!this.heed(e) && e instanceof ApiError && e.code === 'not_found') this.stage = { at: 'ended' };
      throw e;
    }
  }

  /**
   * Whether an error says that the token is no longer taken. Then the link is opened
   * once more: it may have ended, got another password or other terms.
   */
  heed(e: unknown): boolean {
    if (!(e instanceof ApiError) || e.code !== 'unauthenticated') return false;
    if (this.stage.at !== 'open') return true; // another request has said so already
    this.client.token = '';
    this.tickets.clear();
    // Tokens that are refused as soon as they are given would be asked for without end.
    if (++this.refused > mostRefused) this.stage = { at: 'ended' };
    else {
      this.stage = { at: 'opening' };
      void this.open();
    }
    return true;
  }

  /** An address of a file's bytes. Each counts as a use, so that there is one for each content. */
  async content(entry: Entry): Promise<string> {
    return this.client.url(`/api/entries/${entry.id}/content?${new URLSearchParams({ ticket: await this.ticket(entry) })}`);
  }

  /** An address that downloads an entry: a file as it is, a folder, or some entries of it, as a zip. */
  async download(entry: Entry, only: readonly Entry[] = []): Promise<string> {
    // The browser would not tell us that it was refused.
    if (this.tickets.has(entry.id)) await this.ask();
    const query = new URLSearchParams({ ticket: await this.ticket(entry) });
    if (only.length > 0) query.set('only', only.map((e) => e.id).join(','));
    if (entry.kind === 'file') query.set('download', '1');
    return this.client.url(`/api/entries/${entry.id}/${entry.kind === 'file' ? 'content' : 'archive'}?${query}`);
  }

  /** Tickets for files are used again: what was looked at and is then saved counts as one use. */
  private ticket({ id, kind }: Pick<Entry, 'id' | 'kind'>): Promise<string> {
    const known = this.tickets.get(id);
    if (known && known.until > Date.now() && kind === 'file') return known.ticket;
    const ticket = this.client.call<Ticket>('/api/tickets', { method: 'POST', body: { purpose: 'download', entry: id }, own401: true }).then(
      (t) => {
        void this.refresh();
        return t.ticket;
      },
      (e: unknown) => {
        this.tickets.delete(id);
        this.heed(e);
        throw e;
      },
    );
    this.tickets.set(id, { ticket, until: Date.now() + ticketLife });
    return ticket;
  }
}

/** Reads contents by tickets, too, where they are asked for with the token: it would count each time. */
class VisitClient extends Client {
  private readonly bare: Client;

  constructor(
    server: string,
    private readonly ticket: (id: number) => Promise<string>,
  ) {
    super(server);
    this.bare = new Client(server);
  }

  override async bytes(path: string, more: Parameters<Client['bytes']>[1] = {}): Promise<ArrayBuffer> {
    const id = /^\/api\/entries\/(\d+)\/content$/.exec(path)?.[1];
    if (!id) return super.bytes(path, more);
    return this.bare.bytes(`${path}?${new URLSearchParams({ ticket: await this.ticket(Number(id)) })}`, more);
  }
}
