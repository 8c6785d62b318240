/** Programs of a local cluster are started with settings for their memory and threads; whoever set them otherwise is heard. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { systemPorts, untilStopped } from '../../../src/cli/index.js';
import { inDirectory } from '../../support/temporary-directory.js';

const names = ['GOMAXPROCS', 'MALLOC_ARENA_MAX', 'MALLOC_MMAP_THRESHOLD_', 'GLIBC_TUNABLES'];
const script = `console.log(${JSON.stringify(names)}.map((name) => process.env[name]).join(' '))`;

test.serial('what is started has settings for memory and threads; those of the environment come first', (t) =>
  inDirectory('processes', async (directory) => {
    const log = join(directory, 'log');
    const run = async (): Promise<void> => {
      const started = systemPorts.processes.start(process.execPath, ['-e', script], log);
      t.true(await untilStopped(systemPorts, [started], 20_000));
    };
    await run();
    const before = process.env.GOMAXPROCS;
    process.env.GOMAXPROCS = '7';
    try {
      await run();
    } finally {
      if (before === undefined) delete process.env.GOMAXPROCS;
      else process.env.GOMAXPROCS = before;
    }
    const usual = before ?? String(Math.max(1, Math.floor(availableParallelism() / 4)));
    const memory = '2 262144 glibc.malloc.hugetlb=1';
    t.deepEqual(readFileSync(log, 'utf8').trim().split('\n'), [`${usual} ${memory}`, `7 ${memory}`]);
  }),
);
