/** Goal: who is measured when, and how it is driven. Method: the decisions alone, without a process. */
import test from 'ava';
import { bestSetting, catalogue, rotated, stagesOf } from '../../../src/compare/index.js';

type Trial = Parameters<typeof bestSetting>[3];
type Measured = Awaited<ReturnType<Trial>>;

/** A system whose throughput and whose clients' load depend on route and processes. */
function system(perSecond: Readonly<Record<string, number>>, busy: number): { trial: Trial; tried: string[] } {
  const tried: string[] = [];
  const trial: Trial = async (setting) => {
    const name = `${setting.route} ${setting.processes}`;
    tried.push(name);
    const figures = { p50Ms: 1, p99Ms: 2, errors: {}, missed: 0, clientCores: 1, serverCores: 1 };
    const measured: Measured = { ...figures, perSecond: perSecond[name] ?? 0, clientBusy: busy, setting };
    return measured;
  };
  return { trial, tried };
}

test('the better route is taken', async (t) => {
  const { trial, tried } = system({ 'spread 1': 10, 'leader 1': 12 }, 0.5);
  t.deepEqual(await bestSetting(['spread', 'leader'], 256, 2, trial), { route: 'leader', processes: 1 });
  t.deepEqual(tried, ['spread 1', 'leader 1']);
});

test('a busy client is given help, if that is worth it', async (t) => {
  const worth = system({ 'spread 1': 10, 'spread 2': 14, 'spread 3': 14.1 }, 0.95);
  t.deepEqual(await bestSetting(['spread'], 256, 4, worth.trial), { route: 'spread', processes: 2 });
  t.deepEqual(worth.tried, ['spread 1', 'spread 2', 'spread 3']);
  const useless = system({ 'spread 1': 10, 'spread 2': 9 }, 0.95);
  t.deepEqual(await bestSetting(['spread'], 256, 2, useless.trial), { route: 'spread', processes: 1 });
});

test('there are no more clients than operations in flight, or than allowed', async (t) => {
  const alone = system({ 'spread 1': 10, 'spread 2': 20 }, 0.95);
  t.deepEqual(await bestSetting(['spread'], 1, 2, alone.trial), { route: 'spread', processes: 1 });
  t.deepEqual(await bestSetting(['spread'], 256, 1, alone.trial), { route: 'spread', processes: 1 });
});

test('workloads of the same number of shards share a cluster', (t) => {
  const stages = stagesOf(catalogue(), 16);
  t.deepEqual(
    stages.map(({ shards }) => shards),
    [16, 1, 64, 256, 512],
  );
  t.is(
    stages.reduce((sum, { workloads }) => sum + workloads.length, 0),
    catalogue().length,
  );
  for (const { shards, workloads } of stages.slice(1)) t.true(workloads.every((one) => one.shards === shards));
});

test('each system is the first one once', (t) => {
  const orders = [0, 1, 2, 3].map((repeat) => rotated(['a', 'b', 'c'], repeat).join(''));
  t.deepEqual(orders, ['abc', 'bca', 'cab', 'abc']);
  t.deepEqual(rotated([], 1), []);
});
