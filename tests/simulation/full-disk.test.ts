/**
 * Goal: a disk without room loses nothing and takes no reads away; with room again everything goes on by itself.
 * Method: stories in the simulated world (`scenario.ts`); new files of the log cannot be made while a disk is full.
 */
import test from 'ava';
import { scenario } from './scenario.js';

/** Segments small enough for the disk to be asked for room now and then. */
const options = { segmentBytes: 16 * 1024, limits: { diskStallMs: 2000 } };

test(
  'pitfall 34: the disks of all 3 nodes are full: writes wait, reads go on, and once there is room nothing is lost',
  scenario(options, async (t, s) => {
    await s.put('a', 'before');
    for (const node of s.nodes) node.machine.weather.isFull = true;
    let acknowledged = 0;
    for (let n = 0; n < 40; n++) {
      const isWritten = await s.wait(s.client.put(`key-${n}`, `${n}-`.padEnd(2000, 'x'), { timeoutMs: 500 })).then(
        () => true,
        () => false,
      );
      if (!isWritten) break;
      acknowledged++;
    }
    t.true(acknowledged > 0 && acknowledged < 40, `${acknowledged} writes found room`);
    t.is(await s.get('a'), 'before');
    t.true(s.nodes.some(({ host }) => host?.status.wal.isFull === true));
    await s.run(5000);
    t.is(await s.get('key-0', 'lease'), '0-'.padEnd(2000, 'x'), 'reads go on for as long as it takes');
    for (const node of s.nodes) t.true(node.isServing, 'nobody stopped for it');

    for (const node of s.nodes) node.machine.weather.isFull = false;
    const tookMs = await s.put('a', 'after');
    t.true(tookMs < 3000, `${tookMs} ms`);
    for (let n = 0; n < acknowledged; n++) t.is(await s.get(`key-${n}`), `${n}-`.padEnd(2000, 'x'));
  }),
);

test(
  'pitfall 34: the disk of one follower is full: no write waits for it, and it catches up once there is room',
  scenario(options, async (t, s) => {
    const node = s.follower();
    node.machine.weather.isFull = true;
    for (let n = 0; n < 30; n++) {
      const tookMs = await s.put(`key-${n}`, `${n}-`.padEnd(2000, 'x'));
      t.true(tookMs < 100, `${tookMs} ms`);
    }
    await s.run(3000);
    const { raft } = s.group(node, s.shard);
    t.true(raft.appliedIndex < s.group(s.leader(), s.shard).raft.appliedIndex, 'it waits');
    node.machine.weather.isFull = false;
    await s.until(() => raft.appliedIndex === s.group(s.leader(), s.shard).raft.appliedIndex, 5000, 'it catches up');
  }),
);

test(
  "pitfall 34: the leader's disk alone is full: its shard takes writes, and reads stay current",
  scenario(options, async (t, s) => {
    const node = s.leader();
    node.machine.weather.isFull = true;
    let longestMs = 0;
    for (let n = 0; n < 30; n++) {
      longestMs = Math.max(longestMs, await s.put('a', `${n}-`.padEnd(2000, 'x')));
      t.is(await s.get('a'), `${n}-`.padEnd(2000, 'x'));
    }
    t.true(longestMs < 4000, `${longestMs} ms`);
    t.not(s.leader(), node, 'it handed over');
    node.machine.weather.isFull = false;
    await s.until(() => s.leaderOf(s.shard) === node, 10_000, 'with room again it leads what it is to lead');
  }),
);

test(
  'pitfall 34: a node whose full disk it died on does not start before there is room, and then comes back whole',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await s.fill(5, 2000);
    node.machine.weather.isFull = true;
    await s.fill(10, 2000);
    node.crash(true);
    node.start();
    await s.fill(5, 2000, 'more');
    t.false(node.isServing);
    node.machine.weather.isFull = false;
    await s.until(() => node.isServing, 3000, 'it starts');
  }),
);

test(
  'the disks of 3 nodes are full one after another under load: every acknowledged write is kept',
  scenario(options, async (t, s) => {
    const work = s.startWorkload({ concurrency: 4, thinkMs: 10 });
    for (let n = 0; n < 6; n++) {
      const node = s.nodes[n % 3];
      if (node === undefined) throw new Error('three nodes');
      node.machine.weather.isFull = true;
      await s.run(1200);
      node.machine.weather.isFull = false;
    }
    t.true(work.counts.ok > 200);
  }),
);
