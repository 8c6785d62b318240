/**
 * Goal: a page of a scan holds nothing of a replica whose state was replaced while the page was read. Method: the server over a
 * bus in memory, a store that answers when the test says so.
 */
import test from 'ava';
import { nodeId, type ShardId, shardId, silentLogger } from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import { ScanServer } from '../../../src/host/scan-server.js';
import { ConsistencyLevel, decodeScanPage, encodeScanRequest, type ScanPage } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const shards = [1, 2].map(shardId);
const page = { pairs: [{ key: Buffer.from('k'), value: Buffer.from('v'), revision: 1 }], more: false };

function fixture() {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const groups = shards.map((id) => ({ shardId: id, isReadable: true, installations: 0 }));
  const confirmations: ((confirmed: boolean) => void)[] = [];
  const reads: { readonly share: number; readonly done: () => void }[] = [];
  const store = {
    isDropped: () => false,
    scan: (_bucket: number, { share }: { share: number }, done: (error: undefined, found: unknown) => void) =>
      void reads.push({ share, done: () => done(undefined, { ...page, resumeAfter: Buffer.alloc(0) }) }),
  };
  new ScanServer({
    bus,
    clock,
    logger: silentLogger,
    store: store as never,
    options: { cluster: 'test', nodeId: nodeId('n1') } as never,
    maps: { bucket: () => ({}) } as never,
    groupOf: (id: ShardId) => groups.find((group) => group.shardId === id) as unknown as Group | undefined,
    heldShards: () => 4,
    confirmRead: (_, done) => void confirmations.push(done),
  }).start();
  const ask = async (level: ConsistencyLevel): Promise<{ page?: ScanPage }> => {
    const none = Buffer.alloc(0);
    const request = encodeScanRequest({
      ...{ bucketId: 1 as never, gte: none, lt: none, limit: 10, keysOnly: false, reverse: false, level },
      ...{ shards, maxBytes: 0, mapEpoch: 0 },
    });
    const answered: { page?: ScanPage } = {};
    void bus.request('_kv.test.scan.n1', request).then(({ payload }) => {
      answered.page = decodeScanPage(payload);
    });
    await clock.advance(5);
    return answered;
  };
  return { clock, groups, confirmations, reads, ask };
}

type Moment = 'before it was asked' | 'before it was read' | 'while it was read';

async function pageWithReplacement(
  level: ConsistencyLevel,
  moment: Moment | undefined,
  replace: (group: ReturnType<typeof fixture>['groups'][number]) => void,
) {
  const { clock, groups, confirmations, reads, ask } = fixture();
  const [, second] = groups as [unknown, (typeof groups)[number]];
  if (moment === 'before it was asked') replace(second);
  const answered = await ask(level);
  const [first, ...others] = confirmations;
  first?.(true);
  if (moment === 'before it was read') replace(second);
  for (const confirm of others) confirm(true);
  if (moment === 'while it was read') replace(second);
  for (const { done } of reads) done();
  await clock.advance(5);
  return { page: answered.page as ScanPage, reads };
}

const levels = [ConsistencyLevel.Linearizable, ConsistencyLevel.One] as const;

for (const level of levels) {
  test(`level ${level}: a page has every shard whose replica stayed as it was`, async (t) => {
    const { page: found, reads } = await pageWithReplacement(level, undefined, () => {});
    t.deepEqual([found.pairs.length, found.notLed], [1, []]);
    // Half of the keys on the node are of the shards asked for.
    t.deepEqual(
      reads.map(({ share }) => share),
      [0.5],
    );
  });

  test(`level ${level}: a replica that is being replaced, or was meanwhile, has nothing in a page`, async (t) => {
    const begun = (group: { isReadable: boolean; installations: number }): void => {
      group.isReadable = false;
      group.installations++;
    };
    const done = (group: { installations: number }): void => void group.installations++;
    if (level === ConsistencyLevel.Linearizable) {
      const { page: none, reads } = await pageWithReplacement(level, 'before it was read', begun);
      t.deepEqual([none.pairs.length, none.notLed, reads], [0, [1, 2], []]);
    }
    const before = await pageWithReplacement(level, 'before it was asked', begun);
    t.deepEqual([before.page.pairs.length, before.page.notLed], [1, [2]]);
    for (const replace of [begun, done]) {
      const { page: found } = await pageWithReplacement(level, 'while it was read', replace);
      t.deepEqual([found.code, found.pairs.length, found.notLed], [0, 0, [1, 2]]);
    }
  });
}
