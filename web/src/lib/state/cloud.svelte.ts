import { services, socketTicket } from '../api/account';
import { makePath } from '../api/entries';
import { space, type Space } from '../api/space';
import { explain, patiently } from '../api/client';
import { Socket, type Data, type LinkState } from '../socket/socket';
import { BrowserMemory } from '../upload/memory';
import { postPart } from '../upload/post';
import { Speed } from '../upload/speed';
import { UploadQueue } from '../upload/queue';
import { summarise } from '../upload/summary';
import { Upload } from '../upload/upload';
import type { Pick } from '../upload/pick';
import { Hasher } from '../workers/hasher';
import { t } from '../words/words.svelte';
import type { Place, Service } from '../api/types';
import { Folder, type Change } from './folder.svelte';
import type { Router } from './router.svelte';
import { Search } from './search.svelte';
import type { Session } from './session.svelte';
import { Stars } from './stars.svelte';
import type { Toasts } from './toasts.svelte';
import { Tree } from './tree.svelte';

const lookEvery = 5_000; // ms between questions to the services
const weighAfter = 3_000; // ms after a change before all is summed up again
const publicKey = 'discord-cloud-upload-public';

/** Everything behind the page of somebody who is signed in. */
export class Cloud {
  link = $state.raw<LinkState>({ at: 'closed' });
  services = $state.raw<ReadonlySet<string>>(new Set());
  /** What the services are doing, as far as was told last. */
  load = $state.raw<readonly Service[]>([]);
  /** Counts the changes that were told: for views that are read anew then. */
  changes = $state(0);
  /** What counts to its person; not known at first. */
  space = $state.raw<Space | undefined>();
  folder: Folder;
  readonly search: Search;
  readonly tree: Tree;
  readonly stars: Stars;
  queue: UploadQueue;
  /** The queue's uploads: a new array whenever one of them has changed. */
  uploads = $state.raw<readonly Upload[]>([]);
  rate = $state(0);
  /** A service that this page may not talk to before it is loaded anew. */
  needsReload = $state(false);
  uploadPublic = $state(localStorage.getItem(publicKey) === '1');

  private readonly socket: Socket;
  private readonly hasher = new Hasher();
  private readonly speed = new Speed();
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly watch: ReturnType<typeof setInterval>;
  private weighing: ReturnType<typeof setTimeout> | undefined;
  private drawn = false;
  /** Why the server has ended the session. */
  private goodbye = '';

  constructor(
    readonly session: Session,
    readonly router: Router,
    readonly toasts: Toasts,
  ) {
    const { client } = session;
    this.folder = new Folder(client);
    this.search = new Search(() => session.client);
    this.tree = new Tree(() => session.client);
    this.stars = new Stars(() => session.client);
    this.socket = new Socket({
      address: () => this.address(),
      changed: (state) => this.linked(state),
      refused: () => session.forget(this.goodbye || undefined),
    });
    this.queue = new UploadQueue({ link: this.socket, post: postPart, hash: (file, signal) => this.hasher.hash(file, signal), memory: new BrowserMemory(), changed: () => this.redraw() });
    this.socket.on('s2c:entry-changed', (d) => this.changed(d as unknown as Change));
    this.socket.on('s2c:service-registry', (d) => this.registry(d));
    // The next connection shows whether there is a new session already, as after a change of the password.
    this.socket.on('s2c:signed-out', (d) => (this.goodbye = explain(new Error(String(d['reason'] ?? '')))));
    this.timer = setInterval(() => this.measure(), 500);
    this.watch = setInterval(() => void this.look(), lookEvery);
    addEventListener('online', this.awake);
    document.addEventListener('visibilitychange', this.awake);
    addEventListener('beforeunload', this.leaving);
    document.addEventListener('securitypolicyviolation', this.blocked);
    this.socket.start();
  }

  dispose(): void {
    clearInterval(this.timer);
    clearInterval(this.watch);
    clearTimeout(this.weighing);
    removeEventListener('online', this.awake);
    document.removeEventListener('visibilitychange', this.awake);
    removeEventListener('beforeunload', this.leaving);
    document.removeEventListener('securitypolicyviolation', this.blocked);
    this.queue.dispose();
    this.hasher.close();
    this.socket.close();
  }

  /** Tries to connect now. */
  hurry(): void {
    this.socket.hurry();
  }

  setUploadPublic(on: boolean): void {
    this.uploadPublic = on;
    localStorage.setItem(publicKey, on ? '1' : '0');
  }

  /** Queues what was picked for a folder, and makes the empty folders at once. Without a way there from the top it goes by the folder itself. */
  upload(pick: Pick, way: readonly string[] | undefined, folder: Place): void {
    const base = way ? undefined : folder;
    const at = (more: readonly string[]) => '/' + [...(way ?? []), ...more].join('/');
    this.queue.add(pick.files.map(({ file, folders, source }) => Upload.of(file, at(folders), this.uploadPublic, source, base)));
    void this.makeFolders(pick.emptyFolders, folder.id);
  }

  /** Goes on with an upload of an earlier visit, with a file that was picked or (undefined) with the one that the browser knows. */
  async goOn(u: Upload, file: File | undefined): Promise<void> {
    if (file ? this.queue.provide(u, file) : await this.queue.reopen(u)) return;
    this.toasts.error(file ? t('That is not the file that was being uploaded, or it has changed. Upload it anew, or cancel this one.') : t('The file cannot be read any more. Cancel this upload, and upload the file anew.'));
  }

  /** One after the other: there may be hundreds, and the server bounds requests by the second. */
  private async makeFolders(all: readonly string[][], parent: number): Promise<void> {
    for (const names of all) {
      try {
        await patiently(() => makePath(this.session.client, parent, names.join('/')));
      } catch (e) {
        this.toasts.error(`${names.join('/')}: ${explain(e)}`);
      }
    }
  }

  private async address(): Promise<string> {
    const { session } = this;
    await session.renewed();
    const { ticket } = await socketTicket(session.client);
    return session.client.socketURL(`type=client&v=2&ticket=${encodeURIComponent(ticket)}`);
  }

  private readonly awake = () => {
    if (document.visibilityState === 'visible') this.socket.check();
  };

  private readonly leaving = (e: BeforeUnloadEvent) => {
    if (this.queue.active) e.preventDefault();
  };

  private readonly blocked = (e: SecurityPolicyViolationEvent) => {
    if (e.effectiveDirective === 'connect-src') this.needsReload = true;
  };

  private linked(state: LinkState): void {
    const before = this.link.at;
    this.link = state;
    if (state.at === 'open') {
      this.goodbye = '';
      // What changed while there was no connection was not told.
      if (this.folder.state.at !== 'loading') this.folder.reload().catch((e) => this.toasts.error(explain(e)));
      this.search.changed();
      for (const part of [this.tree.load(), this.stars.load()]) part.catch((e) => this.toasts.error(explain(e)));
      void this.look();
      this.weigh(0);
      this.queue.connected();
    } else if (before === 'open') {
      this.services = new Set();
      this.load = [];
      this.queue.disconnected();
    }
  }

  private changed(c: Change): void {
    this.changes++;
    this.tree.apply(c);
    this.search.changed(c.entry, c.action === 'removed');
    const names = this.folder.apply(c);
    if (names && this.router.at === 'files') {
      // A folder by its id is where it was, or nowhere.
      if (this.router.id) this.folder.reload().catch((e) => this.toasts.error(explain(e)));
      else this.router.go(names, true);
    }
    this.weigh(weighAfter);
  }

  /** Something has changed that counts, and is no news to anybody's lists. */
  recount(): void {
    this.weigh(0);
  }

  /** Sums up, some time after the first of several changes. */
  private weigh(after: number): void {
    this.weighing ??= setTimeout(() => {
      this.weighing = undefined;
      // Where it fails the old sum stays: nobody waits for it.
      space(this.session.client).then((sum) => (this.space = sum), () => undefined);
    }, after);
  }

  /** Asks what the services are doing, while somebody looks. */
  private async look(): Promise<void> {
    if (this.link.at !== 'open' || document.visibilityState !== 'visible') return;
    try {
      this.load = (await services(this.session.client)).services;
    } catch {
      // The next time tells.
    }
  }

  private registry(d: Data): void {
    if (d['service_type'] !== 'upload') return;
    const set = new Set(this.services);
    if (d['action'] === 'removed') set.delete(String(d['service_uuid']));
    else set.add(String(d['service_uuid']));
    this.services = set;
    void this.look();
  }

  /** Progress comes in hundreds of events a second; a frame shows one. */
  private redraw(): void {
    if (this.drawn) return;
    this.drawn = true;
    requestAnimationFrame(() => {
      this.drawn = false;
      this.uploads = [...this.queue.uploads];
    });
  }

  private measure(): void {
    const moving = this.queue.uploads.filter((u) => u.moving);
    if (moving.length === 0) {
      if (this.rate !== 0) this.rate = 0;
      return;
    }
    this.speed.note(summarise(this.queue.uploads).sent, performance.now());
    this.rate = this.speed.rate;
  }
}
