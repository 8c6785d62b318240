/** A real nats-server on a free loopback port, for tests. Stopped by process id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type NatsServer = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Stops the process; what clients see is a lost connection. */
  stop(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
};

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

export function findNatsBinary(): string {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin'];
  const found =
    process.env.NATS_SERVER ?? places.map((place) => join(place, 'nats-server')).find((path) => existsSync(path));
  if (found === undefined) throw new Error('nats-server is not installed');
  return found;
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connectSocket(port, '127.0.0.1');
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(25);
  }
  throw new Error(`nats-server does not listen on ${port}`);
}

/** `config` is text of a NATS configuration file: max_payload, authorization. */
export async function startNatsServer(config = ''): Promise<NatsServer> {
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-nats-'));
  const configPath = join(directory, 'nats.conf');
  writeFileSync(configPath, config);
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn(findNatsBinary(), ['-a', '127.0.0.1', '-p', String(port), '-c', configPath], { stdio: 'ignore' });
    await untilListening(port);
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const closed = new Promise((resolve) => running.on('close', resolve));
    running.kill('SIGKILL');
    await closed;
  };
  try {
    await start();
  } catch (error) {
    await stop();
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    get pid() {
      return child?.pid ?? 0;
    },
    async stop() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
    async start() {
      mkdirSync(directory, { recursive: true });
      writeFileSync(configPath, config);
      await start();
    },
  };
}
