/** The real binary on a port of its own, with a data folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const binary = resolve(import.meta.dirname, '..', process.env['DISCORD_CLOUD_BIN'] ?? '../discord-cloud');

export class Server {
  private child: ChildProcess | undefined;
  private output = '';

  private constructor(
    /** The data folder. */
    readonly dir: string,
    private readonly port: number,
    private readonly environment: Record<string, string>,
  ) {}

  /** Starts one with further settings. */
  static async start(environment: Record<string, string> = {}): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), 'discord-cloud-')), Number(environment['MANAGER_PORT'] ?? (await freePort())), environment);
    await server.up();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The address that it printed for its first visitor. */
  get setupURL(): string {
    const url = /http\S+#setup=\S+/.exec(this.output)?.[0];
    if (!url) throw new Error(`no address for the set-up in:\n${this.output}`);
    return url;
  }

  async up(): Promise<void> {
    const { PATH, HOME } = process.env;
    const child = spawn(binary, ['serve'], { env: { PATH, HOME, DATA_DIR: this.dir, MANAGER_PORT: String(this.port), ...this.environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (d: Buffer) => (this.output += d.toString()));
    const deadline = Date.now() + 15_000;
    for (;;) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`the server did not start:\n${this.output}`);
      try {
        if ((await fetch(`${this.url}/api/status`)).ok) return;
      } catch {
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }

  /** Kills one of two managers after the other, each when the one before is back. */
  async killManagers(): Promise<void> {
    for (const manager of [1, 2]) {
      const said = () => [...this.output.matchAll(new RegExp(`^manager ${manager} is process (\\d+)$`, 'gm'))];
      const before = said();
      process.kill(Number(before.at(-1)![1]), 'SIGKILL');
      const deadline = Date.now() + 15_000;
      while (said().length === before.length) {
        if (Date.now() > deadline) throw new Error(`manager ${manager} did not come back:\n${this.output}`);
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.dir, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
