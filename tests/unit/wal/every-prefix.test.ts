/**
 * Goal: wherever the machine stops, and whichever bit rots, the log never silently lacks what was acknowledged and never
 * makes anything up. Method: a log written on a real disk with every kind of record, over restarts; it is cut at every
 * byte of its last batches and at every batch boundary of its history, and bits are flipped. `npm run crash:log` does the
 * same with more.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { randomBetween, seededRandom, systemClock } from '../../../src/base/index.js';
import { nodeDisk, openWal } from '../../../src/wal/index.js';
import { batchesIn, type Milestone, segmentBytes, writeHistory } from '../../crash/log-history.js';
import { cutAt, difference, isSame, judgeCut, judgeFlip, lastBatch } from '../../crash/log-judge.js';
import { inDirectory } from '../../support/temporary-directory.js';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
const commits = 70;
const batchesCutEverywhere = 4;
const flips = 500;

let history: readonly Milestone[] = [];

test.before(async (t) => {
  t.log(`seed ${seed}`);
  history = await writeHistory(seededRandom(seed), commits);
});

test('a log cut at any byte of its last batches reads back as acknowledged', async (t) => {
  let cuts = 0;
  for (let at = history.length - batchesCutEverywhere; at < history.length; at++) {
    const milestone = history[at] as Milestone;
    const { start, end } = lastBatch(milestone.image);
    for (let cut = start; cut <= end; cut++) {
      t.is(await judgeCut(history[at - 1], milestone, cut), undefined);
      cuts++;
    }
  }
  t.log(`${cuts} cuts`);
});

test('a log cut at any batch boundary of its history reads back as acknowledged, from a real disk too', async (t) => {
  for (const [at, milestone] of history.entries()) {
    const { start, end } = lastBatch(milestone.image);
    for (const cut of [start, end]) t.is(await judgeCut(history[at - 1], milestone, cut), undefined);
    if (at % 10 !== 0) continue;
    await inDirectory('log', async (directory) => {
      const files = cutAt(history[at - 1], milestone, end - 1);
      for (const [name, bytes] of files) writeFileSync(join(directory, name), bytes);
      const isWhole = isSame(files, milestone.image, lastBatch(milestone.image).name, end);
      const state = (isWhole ? milestone : history[at - 1])?.state ?? new Map();
      // Twice: what the first start repaired must read alike.
      for (let start = 0; start < 2; start++) {
        const wal = await openWal(nodeDisk(), { directory, segmentBytes, clock: systemClock });
        await wal.close();
        t.is(difference(wal, state), undefined);
      }
    });
  }
});

test('after one flipped bit everything acknowledged is there, or damage is reported', async (t) => {
  const random = seededRandom(seed + 1);
  const counts: Record<string, number> = {};
  for (let flip = 0; flip < flips; flip++) {
    const at = randomBetween(random, 0, history.length - 1);
    const milestone = history[at] as Milestone;
    const names = [...milestone.image.keys()];
    const name = names[randomBetween(random, 0, names.length - 1)] as string;
    const lastByte =
      batchesIn(milestone.image)
        .filter((batch) => batch.name === name)
        .at(-1)?.end ?? segmentBytes;
    const verdict = await judgeFlip(history[at - 1], milestone, name, randomBetween(random, 0, lastByte * 8 - 1));
    const label = typeof verdict === 'string' ? verdict : 'violation';
    counts[label] = (counts[label] ?? 0) + 1;
    if (typeof verdict !== 'string') t.fail(`after commit ${at + 1}: ${verdict.violation}`);
  }
  t.log(counts);
  t.true((counts.reported ?? 0) > 0);
});
