import test from 'ava';
import { WritePlacement } from '../../../src/wal/write-placement.js';

/** Makes `writes` writes, 1 ms apart, of which the nth takes `tookMs(n)`; how many were made here. */
function run(placement: WritePlacement, fromMs: number, writes: number, tookMs: (nth: number) => number): number {
  let here = 0;
  for (let nth = 0; nth < writes; nth++) {
    const nowMs = fromMs + nth;
    if (!placement.isHere(500, nowMs)) continue;
    here++;
    placement.note(nowMs, nowMs + tookMs(nth));
  }
  return here;
}

test('all writes of a fast disk are made here, even where most wait for a core', (t) => {
  t.is(
    run(new WritePlacement(), 0, 5000, (nth) => (nth % 4 === 0 ? 0.06 : 8)),
    5000,
  );
});

test('a slow disk gets a few tries in a while that doubles up to a minute', (t) => {
  const placement = new WritePlacement();
  t.is(
    run(placement, 0, 1000, () => 3),
    4,
  );
  t.is(
    run(placement, 1000, 1000, () => 3),
    4,
  );
  t.is(
    run(placement, 2000, 1000, () => 3),
    0,
  );
  const later = run(placement, 4000, 600_000, () => 3);
  t.true(later >= 4 * 10 && later <= 4 * 16, `${later} in ten minutes`);
});

test('a disk that is fast again is found out, and the pauses begin short again', (t) => {
  const placement = new WritePlacement();
  run(placement, 0, 20_000, () => 3);
  const fast = run(placement, 100_000, 1000, () => 0.1);
  t.is(fast, 1000);
  t.true(run(placement, 110_000, 100, () => 3) < 64, 'it leaves when it is slow again');
  t.is(
    run(placement, 111_200, 4, () => 3),
    4,
    'after the shortest pause',
  );
});

test('one write that stalls is enough to leave the disk to the pool', (t) => {
  const placement = new WritePlacement();
  t.is(
    run(placement, 0, 40, () => 0.05),
    40,
  );
  placement.note(100, 400);
  t.false(placement.isHere(500, 400));
  t.false(placement.isHere(500, 1300));
  t.true(placement.isHere(500, 1401));
});

test('what takes its time on any disk is never written here', (t) => {
  t.true(new WritePlacement().isHere(64 * 1024, 0));
  t.false(new WritePlacement().isHere(64 * 1024 + 1, 0));
});
