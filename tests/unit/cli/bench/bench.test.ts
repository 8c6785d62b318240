/** Goal: `kvctl bench` from its arguments to what it prints. Method: a client that answers in virtual milliseconds. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Clock, pause, RingraftError } from '../../../../src/base/index.js';
import type { Key, WriteOptions } from '../../../../src/client/index.js';
import { FakeClient, kvctl, type RunOptions } from '../../../support/fake-client.js';
import { VirtualClock } from '../../../support/virtual-clock.js';

/** Answers each operation after so long. */
class SlowClient extends FakeClient {
  constructor(
    private readonly clock: Clock,
    private readonly latencyMs: number,
  ) {
    super();
  }

  override async get(bucket: string, key: Key, options: object = {}) {
    await pause(this.clock, this.latencyMs);
    return super.get(bucket, key, options);
  }

  override async put(bucket: string, key: Key, value: Key, options: WriteOptions = {}) {
    await pause(this.clock, this.latencyMs);
    return super.put(bucket, key, value, options);
  }
}

async function bench(argv: readonly string[], { latencyMs = 4, ...options }: RunOptions & { latencyMs?: number } = {}) {
  const clock = new VirtualClock();
  const client = new SlowClient(clock, latencyMs);
  const ran = await clock.until(kvctl(['bench', ...argv], { client, clock, ...options }), 3_600_000);
  return { ...ran, client };
}

const jsonOf = async (...argv: string[]) => JSON.parse((await bench([...argv, '-o', 'json'])).out.toString());

test('an open loop reports the rate, its latencies and each second of it', async (t) => {
  const found = await jsonOf('--rate', '200', '-S', '3', '--warmup', '1', '-B', '100', '-b', 'orders');
  t.like(found, {
    format: 'kvctl-bench-1',
    version: '9.9.9',
    date: '2023-11-14T22:13:24.000Z',
    isInterrupted: false,
    seconds: 3,
    ok: 600,
    failed: 0,
    unknown: 0,
    errors: {},
  });
  t.deepEqual(found.setting, {
    loop: 'open',
    operation: 'put',
    bucket: 'orders',
    rate: 200,
    maxInFlight: 8192,
    valueBytes: 100,
    keys: 100_000,
    seconds: 3,
    warmupSeconds: 1,
  });
  t.like(found.rate, { asked: 200, isKept: true, mostInFlight: 1, mostWaiting: 0, neverSent: 0 });
  t.deepEqual(
    found.intervals.map(({ second, perSecond }: { second: number; perSecond: number }) => [second, perSecond]),
    [
      [1, 200],
      [2, 200],
      [3, 200],
    ],
  );
  t.true(found.latencyMs.p50 > 3.9 && found.latencyMs.p999 < 5.1);
  t.is(found.minutes, undefined);
});

test('a rate that cannot be kept is told, with what waited and what was never sent', async (t) => {
  const argv = ['--rate', '1000', '--max-in-flight', '1', '-S', '2', '--warmup', '0', '-t', '1s'];
  const found = await jsonOf(...argv);
  t.like(found.rate, { asked: 1000, achieved: 249.5, isKept: false, mostInFlight: 1, mostWaiting: 1500 });
  t.is(found.rate.neverSent, 1250, 'a second more was given to what waited');
  t.true(found.latencyMs.p99 > 2000);
  t.true(found.sentLatencyMs.p99 < 5);
  const text = (await bench(argv)).out.toString();
  t.regex(text, /^OP +RATE +VALUE +PER SECOND +FROM +P50 ms .* ERRORS\nput +1,000 +256 B +250 +due .*\n +sent /);
  t.regex(
    text,
    /\nthe rate was not kept: 250\/s of 1,000\/s \(24\.9 %\), at most 1 in flight and 1,500 waiting; 1,250 /,
  );
});

test('a closed loop has so many in flight, and no rate', async (t) => {
  const found = await jsonOf('-C', '10', '-S', '1', '--warmup', '0');
  t.is(found.perSecond, 2490, 'what is answered at the end is after it');
  t.like(found.setting, { loop: 'closed', concurrency: 10 });
  t.deepEqual([found.rate, found.sentLatencyMs, found.setting.rate], [undefined, undefined, undefined]);
  const text = (await bench(['-S', '1', '--warmup', '0'])).out.toString();
  t.regex(text, /^OP +IN FLIGHT +VALUE +PER SECOND +P50 ms +P99 ms +P99\.9 ms +MAX ms +ERRORS\nput +256 /);
});

test('reads find what they read, and say how they read', async (t) => {
  const { client, out } = await bench(['--op', 'get', '-N', '50', '-S', '1', '-C', '2', '-o', 'json']);
  t.is(client.entries.size, 50);
  t.is(JSON.parse(out.toString()).setting.consistency, 'linearizable');
});

test('a run of two minutes compares its last minute with its first', async (t) => {
  const argv = ['--rate', '20', '-S', '2m', '--warmup', '0'];
  const found = await jsonOf(...argv);
  t.true(found.minutes.first.p999 > 3 && found.minutes.last.p999 > 3);
  t.regex(
    (await bench(argv)).out.toString(),
    /\nfirst minute p99\.9 4\.\d+ ms, last minute p99\.9 4\.\d+ ms \(.+ %\)\n/,
  );
});

test('errors are counted by what they are', async (t) => {
  const client = new FakeClient();
  client.failure = new RingraftError('TIMEOUT', 'no answer', { happened: 'unknown' });
  const clock = new VirtualClock();
  const argv = ['bench', '--rate', '100', '-S', '1', '--warmup', '0', '-o', 'json'];
  const { code, out } = await clock.until(kvctl(argv, { client, clock }));
  t.is(code, 0);
  t.like(JSON.parse(out.toString()), { ok: 0, failed: 0, unknown: 100, errors: { TIMEOUT: 100 } });
});

test('Ctrl-C ends it early with the report of what was done, and exit code 130', async (t) => {
  const clock = new VirtualClock();
  const interrupt = new AbortController();
  clock.after(4500, () => interrupt.abort());
  const client = new SlowClient(clock, 4);
  const argv = ['bench', '--rate', '100', '-S', '1h', '--warmup', '2'];
  const { code, out } = await clock.until(kvctl(argv, { client, clock, signal: interrupt.signal }));
  t.is(code, 130);
  t.regex(out.toString(), /put +100 .*\n(.*\n)+interrupted: 2\.5 s were measured\n/);
  const json = await bench([...argv.slice(1), '-o', 'json'], { signal: interrupt.signal });
  t.like(JSON.parse(json.out.toString()), { isInterrupted: true, ok: 0, seconds: 0 });
});

test('against an earlier run: the change of each figure, and a warning for each setting that differs', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench test '));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'before.json');
  const argv = ['--rate', '100', '-S', '1', '--warmup', '0'];
  writeFileSync(path, (await bench([...argv, '-o', 'json'], { latencyMs: 10 })).out);
  const same = await bench([...argv, '--compare-to', path]);
  t.is(same.code, 0);
  t.is(same.err, '');
  t.regex(same.out.toString(), /\nagainst the run of 2023-11-14T22:13:21\.\d+Z \(version 9\.9\.9\):\nMETRIC .*\n/);
  t.regex(same.out.toString(), /\np50 ms +10\.\d+ +4\.\d+ +-6\d\.\d %\n/);
  const other = await bench([...argv, '-B', '1024', '--compare-to', path, '-o', 'json']);
  t.is(other.err, 'warning: not the same: valueBytes was 256, now 1024\n');
  const { change } = JSON.parse(other.out.toString());
  t.deepEqual(change.differences, [{ setting: 'valueBytes', earlier: 256, now: 1024 }]);
  t.true(change.figures.p50.percent < -50);
});

test('what cannot be compared with ends with exit code 2 before anything is sent', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench test '));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'other.json');
  writeFileSync(path, '{"operation":"put"}');
  for (const [file, reason] of [
    [path, /kvctl: BAD_REQUEST: .*other\.json is no result of kvctl bench -o json: format: /],
    [join(directory, 'missing.json'), /kvctl: BAD_REQUEST: cannot read .*missing\.json: /],
  ] as const) {
    const { code, err, client, requests } = await bench(['--compare-to', file]);
    t.is(code, 2);
    t.regex(err, reason);
    t.deepEqual([client.calls.length, requests.length], [0, 0]);
  }
});

test('options that do not go together are refused', async (t) => {
  for (const argv of [
    ['--rate', '0'],
    ['--rate', '80%'],
    ['--rate', '-5'],
    ['--rate', '5', '-C', '3'],
    ['--max-in-flight', '3'],
    ['--rate', '5', '--max-in-flight', '0'],
  ]) {
    const { code, err, requests } = await bench(argv);
    t.is(code, 2, `${argv}: ${err}`);
    t.is(requests.length, 0);
  }
});

test('the live view is drawn on a terminal, and not beside -o json or in a file', async (t) => {
  const argv = ['--rate', '100', '-S', '3', '--warmup', '0'];
  const live = await bench(argv, { errIsTTY: true });
  t.regex(live.err, /put, 100\/s {2}█+░+ {2}2 of 3 s/);
  t.regex(live.err, /last second/);
  t.true(live.err.endsWith('\x1b[J'), 'wiped away');
  t.is((await bench([...argv, '-o', 'json'], { errIsTTY: true })).err, '');
  t.is((await bench(argv)).err, '');
});
