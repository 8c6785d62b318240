/**
 * One run in a process of its own: prints one JSON object. `copies` counts messages, writes and what is copied; `heap` what
 * the workloads allocate; `codecs` what encoding and decoding the messages alone does.
 */
import { countCopies, installCopyCounts } from './copies.js';
import type { ChildResult, Figures, Mode } from './run-child.js';

/**
 * Followers apply the last writes of a run in the next one: after a run of the same kind each counts one run's worth.
 * Compiled code allocates less, and it takes about so many runs until all of it is compiled.
 */
const warmUps = { copies: 1, heap: 2 };
const codecRuns = 100;
/** What the compiler itself takes, it takes in one run or another: the least of some is without it. */
const heapRuns = 3;

const mode = process.argv[2] as Mode;
// Before anything of the product is loaded: it keeps what it finds.
if (mode === 'copies') installCopyCounts();
const result: ChildResult = {
  workloads: mode === 'codecs' ? {} : await workloads(mode),
  codecs: mode === 'heap' ? {} : await codecs(mode),
};
process.stdout.write(JSON.stringify(result));
process.exit(0);

async function workloads(what: 'copies' | 'heap'): Promise<Record<string, Figures>> {
  const { CountedCluster } = await import('./counted-cluster.js');
  const { copyFiguresOf, figuresOf } = await import('./figures.js');
  const { countsOf, WorkloadRunner, workloadNames, workloads } = await import('./workload.js');
  const { allocatedDuring } = await import('./heap.js');
  const found: Record<string, Figures> = {};
  const cluster = await CountedCluster.start();
  const runner = new WorkloadRunner(cluster);
  await runner.run('put');
  for (const name of workloadNames) {
    const { operations } = workloads[name];
    for (let run = 0; run < warmUps[what]; run++) await runner.run(name);
    await runner.settle();
    const work = (): Promise<void> => runner.run(name);
    if (what === 'heap') {
      let least = Number.POSITIVE_INFINITY;
      for (let run = 0; run < heapRuns; run++) least = Math.min(least, await allocatedDuring(work));
      found[name] = { 'bytes of heap': least / operations };
      continue;
    }
    const before = countsOf(cluster);
    const copies = copyFiguresOf(await countCopies(work), operations);
    found[name] = { ...figuresOf(before, countsOf(cluster), operations), ...copies };
  }
  return found;
}

async function codecs(what: 'copies' | 'codecs'): Promise<Record<string, Figures>> {
  const { codecCases } = await import('./codecs.js');
  const { allocatedDuring } = await import('./heap.js');
  const found: Record<string, Figures> = {};
  for (const { name, items, encode, decode } of codecCases()) {
    const bytes = encode();
    const figuresFor = async (verb: string, work: () => unknown): Promise<Figures> => {
      const runs = async (): Promise<void> => {
        for (let run = 0; run < codecRuns; run++) work();
      };
      if (what === 'copies') {
        const { copied } = await countCopies(runs);
        return { [`${verb}, bytes copied per byte`]: copied / codecRuns / bytes.length };
      }
      await runs();
      return { [`${verb}, bytes of heap an item`]: (await allocatedDuring(runs)) / codecRuns / items };
    };
    found[name] = { ...(await figuresFor('encode', encode)), ...(await figuresFor('decode', () => decode(bytes))) };
  }
  return found;
}
