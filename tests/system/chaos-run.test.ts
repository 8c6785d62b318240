/**
 * Goal: every workload of a chaos run, on a real cluster one node of which is killed and comes back, is judged and found
 * good. Method: SIGKILL in the middle; the run has to have answered enough for its verdict to mean something.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { seededRandom, systemClock } from '../../src/base/index.js';
import { ChaosRun, closingLine, summaryOf, workloadNames } from '../../src/chaos/index.js';
import { TestCluster } from '../support/cluster.js';

const seed = Number(process.env.SEED ?? Date.now() % 100_000);

t.test('a chaos run over the death of a node finds nothing wrong, and judges all it did', async (t) => {
  t.comment(`seed ${seed}`);
  const cluster = await TestCluster.start({ shards: 6 });
  t.teardown(() => cluster.stop());
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-chaos-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const hosts = cluster.nodeIds;
  const random = seededRandom(seed);
  const connect = () => cluster.client();
  const run = new ChaosRun({ clock: systemClock, random, seed, directory, hosts, connect, leastOk: () => 200 });
  await run.start();
  await sleep(5000);
  const fault = run.faultBegins({
    kind: 'kill',
    description: 'SIGKILL of n2',
    sides: { n1: 'majority', n3: 'majority' },
  });
  await cluster.signal('n2', 'SIGKILL');
  await sleep(3000);
  cluster.startNode('n2');
  fault.ends();
  await sleep(6000);
  await run.stop();
  const result = await run.finish();
  for (const line of summaryOf(result).split('\n')) t.comment(line);
  t.comment(closingLine(result));
  t.equal(result.violations, 0);
  t.same(result.vacuous, []);
  t.same(result.unanswered, []);
  t.ok(result.passed);
  t.same(result.faults, { kill: 1 });
  for (const { workload, ok, keysJudged, undecided } of result.workloads) {
    t.ok(ok > 50 && keysJudged > 0 && undecided === 0, `${workload}: ${ok} answered, ${keysJudged} keys judged`);
  }
  t.equal(result.workloads.length, workloadNames.length);
  const lines = readFileSync(join(directory, 'history.ndjson'), 'utf8').trim().split('\n');
  const { ok, failed, unknown } = result.operations;
  t.equal(lines.length, ok + failed + unknown + 2, 'a line for the run, each operation and the fault');
});
