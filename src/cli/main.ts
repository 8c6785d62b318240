#!/usr/bin/env node
/** kvctl: the composition root. Builds the NATS adapter, hands the outside to `run`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../base/index.js';
import { connect } from './connect.js';
import { exitCodes } from './exit-codes.js';
import { localConfig } from './local/access.js';
import { serversOf } from './local/state.js';
import { run } from './run.js';

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };

async function main(): Promise<void> {
  const interrupt = new AbortController();
  process.on('SIGINT', () => {
    // The first asks the command to end; a command that does not is ended.
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
    interrupt.abort();
    setTimeout(() => process.exit(exitCodes.interrupted), 2000).unref();
  });
  // Whoever read our output has seen enough (`kvctl scan | head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.error),
  );
  const io = {
    out: process.stdout,
    err: process.stderr,
    in: process.stdin,
    env: process.env,
    signal: interrupt.signal,
  };
  process.exitCode = await run(process.argv.slice(2), io, {
    version,
    connect,
    connectLocal: (state, timeoutMs) =>
      connect({ config: localConfig(state), servers: serversOf(state), cluster: state.cluster, timeoutMs }),
  });
}

await main();
