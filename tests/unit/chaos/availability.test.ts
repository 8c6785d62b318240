/**
 * Goal: what the accounting says of a fault is what the operations say: shares by side, fail-over, recovery, the longest time
 * without a write. Method: a few operations by hand; random ones against a second, slow reckoning.
 */
import test from 'ava';
import fc from 'fast-check';
import {
  Availability,
  availabilityOf,
  type Fault,
  type Operation,
  spread,
  unavailabilityByKind,
  vacuousWindows,
  type WindowFigures,
} from '../../../src/chaos/index.js';
import { done, failed, operationsOf, seen, unknown } from '../../support/chaos-operations.js';

const shards = [1, 2];
const hosts = ['n1', 'n2'];
const probe = operationsOf('probe');

const fault = (fromMs: number, toMs: number, kind = 'partition'): Fault => ({
  kind,
  description: 'n1 | n2',
  sides: { n1: 'minority', n2: 'majority' },
  fromMs,
  toMs,
});
const write = (
  host: string,
  shard: number,
  startMs: number,
  endMs: number,
  outcome: Operation['outcome'] = done(),
) => ({
  ...probe.put(host, startMs, endMs, 'v', outcome),
  shard,
});
const only = (operations: readonly Operation[], ...faults: Fault[]): WindowFigures => {
  const [figures] = availabilityOf(faults, operations, shards, hosts);
  if (figures === undefined) throw new Error('no window');
  return figures;
};

test('shares are of the probes called and answered within the window, by kind and side', (t) => {
  const read = (host: string, startMs: number, outcome: Operation['outcome']) =>
    probe.make(host, startMs, startMs + 50, { op: 'get', level: 'lease' }, outcome);
  const { shares, okOperations } = only(
    [
      read('n1', 99, seen('v')),
      read('n1', 100, failed),
      read('n1', 150, seen('v')),
      read('n2', 150, seen('v')),
      read('n2', 199, seen('v')),
      read('n2', 200, failed),
      write('n1', 1, 120, 170, unknown),
      { ...write('n2', 1, 120, 130), workload: 'set' },
      write('n3', 1, 120, 130),
    ],
    fault(100, 200),
  );
  t.deepEqual(shares, {
    lease: { minority: { ok: 1, all: 2 }, majority: { ok: 1, all: 1 } },
    write: { minority: { ok: 0, all: 1 }, none: { ok: 1, all: 1 } },
  });
  t.is(okOperations, 5);
});

test('what was asked before a fault was seen is in no share', (t) => {
  const availability = new Availability([1, 2], ['n1', 'n2', 'n3']);
  const window = availability.begin(fault(100, 200), 100);
  const read = (startMs: number) => probe.make('n1', startMs, startMs + 10, { op: 'get', level: 'one' }, seen('v'));
  availability.add(read(110));
  window.seen(150);
  availability.add(read(145));
  availability.add(read(150));
  window.end(200);
  t.deepEqual(availability.figures()[0]?.shares, { one: { minority: { ok: 1, all: 1 } } });
});

test('fail-over lasts until every shard has taken a write that was called after the fault began', (t) => {
  const operations = [
    write('n2', 1, 90, 105),
    write('n2', 2, 101, 110),
    write('n2', 1, 102, 340),
    write('n2', 1, 300, 350),
    write('n2', 2, 300, 900),
  ];
  t.is(only(operations, fault(100, 1000)).failOverMs, 240);
  t.is(only(operations, fault(100, 340)).failOverMs, null);
  t.is(only(operations.slice(0, 2), fault(100, 1000)).failOverMs, null);
});

test('recovery lasts from the end until every shard, and every host, has had a write taken', (t) => {
  const operations = [
    write('n2', 1, 150, 199),
    write('n2', 1, 150, 260),
    write('n2', 2, 210, 290),
    write('n1', 2, 210, 480),
    write('n2', 2, 500, 510, unknown),
  ];
  const figures = only(operations, fault(100, 200));
  t.is(figures.recoveryMs, 90);
  t.is(figures.hostsRecoveryMs, 280);
  const minorityNever = only(operations.slice(0, 3), fault(100, 200));
  t.is(minorityNever.recoveryMs, 90);
  t.is(minorityNever.hostsRecoveryMs, null);
});

test('the longest time without a write counts from the beginning to the first write after the end', (t) => {
  const operations = [
    write('n2', 1, 50, 60),
    write('n2', 2, 100, 120),
    write('n2', 1, 120, 180),
    write('n2', 2, 250, 400),
    write('n2', 1, 190, 250),
    write('n2', 1, 900, 3000),
  ];
  const figures = only(operations, fault(100, 200));
  t.is(figures.longestShardMs, 280);
  t.is(figures.longestMs, 70);
});

test('a shard that never comes back is counted to the end of the history', (t) => {
  const figures = only([write('n2', 1, 110, 120), write('n2', 1, 900, 1000)], fault(100, 200));
  t.is(figures.recoveryMs, null);
  t.is(figures.longestShardMs, 900);
  t.is(unavailabilityByKind([figures]).partition?.notRecovered, 1);
});

test('a fault that was never ended has no recovery', (t) => {
  const figures = only([write('n2', 1, 110, 120), write('n2', 2, 110, 130)], fault(100, Number.POSITIVE_INFINITY));
  t.is(figures.recoveryMs, null);
  t.is(figures.failOverMs, 30);
});

test('figures of a kind are medians and worst cases over its windows', (t) => {
  const operations = [10, 20, 60].flatMap((lateMs, at) =>
    shards
      .flatMap((shard) => hosts.map((host) => write(host, shard, 1000 * at + 100, 1000 * at + 100 + lateMs)))
      .concat(shards.flatMap((shard) => hosts.map((host) => write(host, shard, 1000 * at + 200, 1000 * at + 205)))),
  );
  const faults = [0, 1, 2].map((at) => fault(1000 * at + 100, 1000 * at + 200, at === 2 ? 'kill' : 'partition'));
  const figures = unavailabilityByKind(availabilityOf(faults, operations, shards, hosts));
  t.deepEqual(Object.keys(figures), ['partition', 'kill']);
  t.deepEqual(figures.partition?.failOverMs, { median: 10, p99: 20, max: 20, count: 2 });
  t.deepEqual(figures.partition?.recoveryMs, { median: 5, p99: 5, max: 5, count: 2 });
  t.deepEqual(figures.partition?.shares.write, { minority: { ok: 4, all: 4 }, majority: { ok: 4, all: 4 } });
  t.deepEqual(figures.kill?.longestShardMs, { median: 60, p99: 60, max: 60, count: 1 });
  t.deepEqual(spread([null, null]), null);
});

test('a window with too few answers is vacuous', (t) => {
  const windows = availabilityOf([fault(100, 200), fault(300, 400, 'kill')], [write('n2', 1, 110, 120)], shards, hosts);
  const vacuous = vacuousWindows(windows, (kind) => (kind === 'kill' ? 1 : 1));
  t.deepEqual(vacuous, [{ kind: 'kill', description: 'n1 | n2', ok: 0, least: 1 }]);
});

const anyOperations = fc.array(
  fc
    .tuple(
      fc.constantFrom(...hosts),
      fc.constantFrom(...shards),
      fc.integer({ min: 0, max: 500 }),
      fc.integer({ min: 0, max: 80 }),
      fc.constantFrom<Operation['outcome']>(done(), failed, unknown),
    )
    .map(([host, shard, startMs, lasts, outcome]) => write(host, shard, startMs, startMs + lasts, outcome)),
  { maxLength: 40 },
);

/** The same again, from all writes at once. */
function reckoned(operations: readonly Operation[], fromMs: number, toMs: number) {
  const writes = operations.filter(({ outcome }) => outcome.kind === 'ok').sort((a, b) => a.endMs - b.endMs);
  const lastMs = Math.max(0, ...operations.map(({ endMs }) => endMs));
  const longest = (some: readonly Operation[]): number => {
    const ends = some.map(({ endMs }) => endMs).filter((endMs) => endMs >= fromMs);
    const resumed = ends.find((endMs) => endMs >= toMs);
    const marks = [fromMs, ...ends.filter((endMs) => endMs < toMs), resumed ?? Math.max(fromMs, lastMs)];
    return Math.max(...marks.slice(1).map((mark, at) => mark - (marks[at] as number)));
  };
  const ofShard = (shard: number) => writes.filter((each) => each.shard === shard);
  const firsts = shards.map((shard) => ofShard(shard).find(({ startMs }) => startMs >= fromMs)?.endMs ?? Infinity);
  const resumed = shards.map((shard) => ofShard(shard).find(({ endMs }) => endMs >= toMs)?.endMs ?? Infinity);
  return {
    failOverMs: Math.max(...firsts) < toMs ? Math.max(...firsts) - fromMs : null,
    recoveryMs: Number.isFinite(Math.max(...resumed)) ? Math.max(...resumed) - toMs : null,
    longestShardMs: Math.max(...shards.map((shard) => longest(ofShard(shard)))),
    longestMs: longest(writes),
  };
}

test('on any operations, the running account is the one made from all of them at once', (t) => {
  const isSame = (operations: Operation[], fromMs: number, lasts: number) => {
    const toMs = fromMs + lasts;
    const { failOverMs, recoveryMs, longestShardMs, longestMs } = only(operations, fault(fromMs, toMs));
    t.deepEqual({ failOverMs, recoveryMs, longestShardMs, longestMs }, reckoned(operations, fromMs, toMs));
  };
  const property = fc.property(
    anyOperations,
    fc.integer({ min: 0, max: 400 }),
    fc.integer({ min: 1, max: 200 }),
    isSame,
  );
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});
