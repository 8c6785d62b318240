/**
 * Goal: what a node sends of snapshots keeps to its rate over any stretch of time, and a new rate holds at once. Method:
 * takers on a virtual clock; every portion is noted with its time.
 */
import test from 'ava';
import { TokenBucket } from '../../../src/host/token-bucket.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const portion = 256 * 1024;
const rate = 4 * 1024 * 1024;
/** What a bucket nobody took from gives out beyond its rate: 50 ms of it. */
const burst = 0.05 * rate;

type Portion = { readonly atMs: number; readonly bytes: number; readonly taker: number };

class Takers {
  readonly taken: Portion[] = [];
  private running = true;

  constructor(
    private readonly clock: VirtualClock,
    readonly bucket: TokenBucket,
  ) {}

  start(count: number, bytes: number): void {
    for (let taker = 0; taker < count; taker++) void this.run(taker, bytes);
  }

  private async run(taker: number, bytes: number): Promise<void> {
    while (this.running) {
      await this.bucket.take(bytes);
      if (this.running) this.taken.push({ atMs: this.clock.nowMs(), bytes, taker });
    }
  }

  stop(): void {
    this.running = false;
    this.bucket.close();
  }

  bytesBetween(fromMs: number, toMs: number): number {
    return this.taken.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function takersAt(bytesPerSecond: number): { clock: VirtualClock; takers: Takers } {
  const clock = new VirtualClock();
  return { clock, takers: new Takers(clock, new TokenBucket(clock, bytesPerSecond)) };
}

test('four takers together get the rate, in any stretch of time', async (t) => {
  const { clock, takers } = takersAt(rate);
  takers.start(4, portion);
  await clock.advance(10_000);
  takers.stop();
  for (const lengthMs of [100, 1000, 5000]) {
    for (let fromMs = 0; fromMs + lengthMs <= 10_000; fromMs += 50) {
      const bytes = takers.bytesBetween(fromMs, fromMs + lengthMs);
      const due = (lengthMs / 1000) * rate;
      t.true(bytes <= due + burst + portion, `${bytes} bytes in ${lengthMs} ms from ${fromMs} ms on`);
      t.true(bytes >= 0.95 * due - portion, `${bytes} bytes in ${lengthMs} ms from ${fromMs} ms on`);
    }
  }
  const shares = [0, 1, 2, 3].map((taker) => takers.taken.filter((one) => one.taker === taker).length);
  t.true(Math.max(...shares) - Math.min(...shares) <= 1, `in turn: ${shares}`);
});

test('a portion larger than a second of the rate goes, and is paid for afterwards', async (t) => {
  const { clock, takers } = takersAt(portion / 4);
  takers.start(2, portion);
  await clock.advance(40_000);
  takers.stop();
  t.is(takers.taken[0]?.atMs, 0);
  const bytes = takers.bytesBetween(1, 40_000);
  t.true(Math.abs(bytes - 10 * portion) <= portion, `${bytes / portion} portions in 40 s, 10 are due`);
});

test('a new rate holds at once, for those who wait already', async (t) => {
  const { clock, takers } = takersAt(portion / 60);
  takers.start(1, portion);
  await clock.advance(1000);
  t.is(takers.taken.length, 1, 'the next one would have to wait for a minute');
  takers.bucket.setRate(rate);
  await clock.advance(1000);
  const fast = takers.bytesBetween(1000, 2000);
  t.true(Math.abs(fast - rate) <= burst + portion, `${fast} bytes in the second after`);
  takers.bucket.setRate(portion);
  await clock.advance(10_000);
  takers.stop();
  const slow = takers.bytesBetween(2000, 12_000);
  t.true(Math.abs(slow - 10 * portion) <= 2 * portion, `${slow / portion} portions in the ten seconds after`);
});

test('what goes without waiting is paid for by those who come next', async (t) => {
  const { clock, takers } = takersAt(rate);
  takers.bucket.charge(rate);
  takers.start(1, portion);
  await clock.advance(2000);
  takers.stop();
  t.is(takers.bytesBetween(0, 900), 0);
  t.true(takers.bytesBetween(900, 2000) >= 0.95 * rate);
});

test('nobody waits: no timer runs; a closed bucket lets everybody go', async (t) => {
  const { clock, takers } = takersAt(rate);
  await takers.bucket.take(10);
  t.is(clock.armed, 0);
  await takers.bucket.take(10 * rate);
  const waiting = takers.bucket.take(1);
  t.is(clock.armed, 1);
  takers.bucket.close();
  await waiting;
  await takers.bucket.take(portion);
  t.is(clock.armed, 0);
});
