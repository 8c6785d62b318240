/**
 * Goal: a node does what its faults file says, whoever writes it and however badly, and tells so. Method: real files, and
 * time that moves when the test says so.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Logger } from '../../../src/base/index.js';
import {
  FaultFile,
  mergeNodeFaults,
  type NodeFaults,
  type NodeFaultsSeen,
  parseNodeFaults,
  readNodeFaultsSeen,
  seenPathOf,
  writeNodeFaults,
} from '../../../src/faults/index.js';
import { inDirectory } from '../../support/temporary-directory.js';
import { VirtualClock, wallStartMs } from '../../support/virtual-clock.js';

type Followed = {
  readonly path: string;
  readonly file: FaultFile;
  readonly clock: VirtualClock;
  readonly lines: readonly string[];
  /** So many looks at the file. */
  readonly looks: (count: number) => Promise<void>;
  readonly seen: () => Promise<NodeFaultsSeen>;
};

const following = (body: (followed: Followed) => Promise<void>): Promise<void> =>
  inDirectory('faults', async (directory) => {
    const path = join(directory, 'n1.json');
    const clock = new VirtualClock();
    const lines: string[] = [];
    const log = (_: unknown, line: string): void => void lines.push(line);
    const logger: Logger = { debug: log, info: log, warn: log, error: log };
    const file = new FaultFile(path, clock, logger);
    await file.start();
    const looks = async (count: number): Promise<void> => {
      for (let look = 0; look < count; look++) {
        await clock.advance(50);
        // The next look is planned once the files of this one are closed.
        while (clock.armed === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const seen = async (): Promise<NodeFaultsSeen> => {
      const found = await readNodeFaultsSeen(path);
      if (found === undefined) throw new Error('the node has said nothing');
      return found;
    };
    try {
      await body({ path, file, clock, lines, looks, seen });
    } finally {
      file.stop();
    }
  });

test('no file, no faults; one that comes, changes and goes is followed and told', (t) =>
  following(async ({ path, file, looks, seen }) => {
    t.deepEqual((await seen()).inForce, {});
    t.is((await seen()).pid, process.pid);
    await writeNodeFaults(path, { disk: { full: true, writeDelayMs: 20 }, clockOffsetMs: 3_600_000 });
    await looks(1);
    t.deepEqual(file.inForce.all, { disk: { full: true, writeDelayMs: 20 }, clockOffsetMs: 3_600_000 });
    const told = await seen();
    t.deepEqual(told.inForce, file.inForce.all);
    t.is(told.wallMs, wallStartMs + 50 + 3_600_000, "the node's own idea of the time");
    await writeNodeFaults(path, { disk: { writeDelayMs: 20 } });
    await looks(1);
    t.deepEqual((await seen()).inForce, { disk: { writeDelayMs: 20 } });
    rmSync(path);
    await looks(1);
    t.deepEqual((await seen()).inForce, {});
  }));

test('faults that stand in the file before the node starts are in force when it does', (t) =>
  inDirectory('faults', async (directory) => {
    const path = join(directory, 'n1.json');
    await writeNodeFaults(path, { disk: { full: true } });
    const silent = (): void => {};
    const logger: Logger = { debug: silent, info: silent, warn: silent, error: silent };
    const file = new FaultFile(path, new VirtualClock(), logger);
    await file.start();
    t.true(file.inForce.isDiskFull);
    file.stop();
    t.deepEqual(readdirSync(directory).sort(), ['n1.json', 'n1.json.seen'], 'nothing else is left behind');
  }));

test('a half-written or wrong file changes nothing, and is complained about once a content', (t) =>
  following(async ({ path, file, lines, looks, seen }) => {
    await writeNodeFaults(path, { clockOffsetMs: 5 });
    await looks(1);
    const before = lines.length;
    writeFileSync(path, '{"disk": {"fu');
    await looks(3);
    t.is(lines.length, before + 1);
    t.deepEqual(file.inForce.all, { clockOffsetMs: 5 });
    writeFileSync(path, '{"disks": {}}');
    await looks(2);
    t.is(lines.length, before + 2);
    t.deepEqual((await seen()).inForce, { clockOffsetMs: 5 });
    writeFileSync(path, '{}');
    await looks(1);
    t.deepEqual((await seen()).inForce, {});
  }));

test('counters are told, though not oftener than every 100 ms', (t) =>
  following(async ({ file, path, looks, seen }) => {
    await looks(4);
    file.inForce.refusedWrites = 1;
    await looks(1);
    t.is((await seen()).refusedWrites, 1);
    file.inForce.refusedWrites = 2;
    file.inForce.delayedWrites = 7;
    await looks(1);
    t.is((await seen()).refusedWrites, 1);
    await looks(1);
    t.is((await seen()).refusedWrites, 2);
    t.is((await seen()).delayedWrites, 7);
    rmSync(seenPathOf(path));
    await looks(4);
    t.is(await readNodeFaultsSeen(path), undefined, 'without news nothing is written');
  }));

test('several faults of a node are one: any that fills its disk, all delays, all offsets', (t) => {
  const all: readonly NodeFaults[] = [
    { disk: { writeDelayMs: 20 }, clockOffsetMs: 1000 },
    { disk: { full: true } },
    { disk: { full: false, writeDelayMs: 5 }, clockOffsetMs: -3000 },
  ];
  t.deepEqual(mergeNodeFaults(all), { disk: { full: true, writeDelayMs: 25 }, clockOffsetMs: -2000 });
  t.deepEqual(mergeNodeFaults([]), {});
  t.deepEqual(mergeNodeFaults([{ disk: { full: false, writeDelayMs: 0 }, clockOffsetMs: 0 }]), {});
});

for (const [text, complaint] of [
  ['', /JSON/],
  ['[]', /no object/],
  ['{"disk": true}', /disk is no object/],
  ['{"disk": {"full": "yes"}}', /disk\.full is true or false/],
  ['{"disk": {"writeDelayMs": -1}}', /disk\.writeDelayMs is a number from 0/],
  ['{"clockOffsetMs": 1e18}', /clockOffsetMs is a number/],
  ['{"clockOffsetMs": null}', /clockOffsetMs is a number/],
  ['{"clock": 1}', /field clock; there are disk, clockOffsetMs/],
] as const) {
  test(`faults written as ${text === '' ? 'nothing' : text} are refused with the reason`, (t) => {
    t.throws(() => parseNodeFaults(text), { code: 'BAD_REQUEST', message: complaint });
  });
}
