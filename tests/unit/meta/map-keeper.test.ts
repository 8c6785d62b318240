/** Goal: changes of the map follow each other, are announced when they are durable, and end with the term. */
import test from 'ava';
import { isRingraftError } from '../../../src/base/index.js';
import { type ChangeDraft, MapKeeper } from '../../../src/meta/map-keeper.js';
import { keptChanges } from '../../../src/meta/map-records.js';
import type { ClusterMap, MapChange } from '../../../src/wire/index.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { aMap, busy, FakeSystem, moving, n1, n2, n3, n4, notLeader } from './fake-system.js';

const founding: ClusterMap = { ...aMap(4, [n1, n2, n3]), epoch: 0 };
const setMoves =
  (maxMoves: number) =>
  ({ settings }: ClusterMap): ChangeDraft => ({
    kind: 'settingsChanged',
    summary: `maxMoves=${maxMoves}`,
    settings: { ...settings, maxMoves },
  });

type Opened = { readonly keeper: MapKeeper; readonly announced: (readonly [MapChange, ClusterMap])[] };

async function open(system: FakeSystem, map: ClusterMap | undefined, term = 1): Promise<Opened> {
  const announced: (readonly [MapChange, ClusterMap])[] = [];
  const parts = {
    clock: new VirtualClock(),
    system: system.shard,
    term,
    onChange: (change: MapChange, after: ClusterMap) => announced.push([change, after]),
  };
  return { keeper: await MapKeeper.open(parts, async () => map), announced };
}

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    return `resolved ${JSON.stringify(await promise)}`;
  } catch (error) {
    return isRingraftError(error) ? error.code : String(error);
  }
};

test('the first to open founds the map as epoch 1; the next reads it, with what became of it', async (t) => {
  const system = new FakeSystem();
  const { keeper, announced } = await open(system, founding);
  t.deepEqual(keeper.current, { ...founding, epoch: 1 });
  t.deepEqual(
    announced.map(([{ kind, epoch }]) => [kind, epoch]),
    [['founded', 1]],
  );
  t.is(await keeper.change(setMoves(7)), 2);
  system.leaderTerm = 5;
  const later = await open(system, founding, 5);
  t.deepEqual(later.keeper.current, keeper.current);
  t.deepEqual(later.announced, [], 'nothing is founded twice');
  t.deepEqual(
    later.keeper.history(10).map(({ kind }) => kind),
    ['settingsChanged', 'founded'],
  );
});

test('a founding that failed halfway is done anew by the next', async (t) => {
  const system = new FakeSystem();
  const large = { ...aMap(600, [n1, n2, n3]), epoch: 0 };
  system.fates.push('ok', notLeader());
  t.is(await codeOf(open(system, large)), 'NOT_LEADER');
  t.true(system.records.size > 0);
  const { keeper } = await open(system, founding);
  t.deepEqual(keeper.current, { ...founding, epoch: 1 });
  t.deepEqual((await open(system, undefined)).keeper.current, keeper.current, 'as the records say');
});

test('who has no founding map does not found, and who is in another term does not read', async (t) => {
  const system = new FakeSystem();
  t.is(await codeOf(open(system, undefined)), 'NOT_FOUND');
  t.is(await codeOf(open(system, founding, 2)), 'NOT_LEADER');
  t.deepEqual(system.writes, []);
});

test('changes asked for at once are made one after the other, each from the map before it', async (t) => {
  const system = new FakeSystem();
  const { keeper, announced } = await open(system, founding);
  const seen: number[] = [];
  const grow = (map: ClusterMap): ChangeDraft => {
    seen.push(map.settings.maxMoves);
    return setMoves(map.settings.maxMoves + 1)(map);
  };
  t.deepEqual(await Promise.all([1, 2, 3].map(() => keeper.change(grow))), [2, 3, 4]);
  t.deepEqual(seen, [4, 5, 6]);
  t.deepEqual(
    announced.map(([change, map]) => [change.epoch, map.epoch]),
    [1, 2, 3, 4].map((epoch) => [epoch, epoch]),
  );
});

test('entries of shards that change are of the epoch of the change', async (t) => {
  const { keeper } = await open(new FakeSystem(), founding);
  await keeper.change(setMoves(9));
  const [shard] = keeper.current.shards;
  await keeper.change(() => ({ kind: 'moveBegan', summary: '', shards: shard === undefined ? [] : [shard] }));
  t.deepEqual(
    keeper.current.shards.map(({ epoch }) => epoch),
    [3, 1, 1, 1],
  );
});

test('no change is drawn up: the epoch stays, and nothing is written or announced', async (t) => {
  const system = new FakeSystem();
  const { keeper, announced } = await open(system, founding);
  const writes = system.writes.length;
  t.is(await keeper.change(() => undefined), 1);
  t.deepEqual([system.writes.length, announced.length], [writes, 1]);
});

test('BUSY is passed on, changes nothing, and the keeper goes on', async (t) => {
  const system = new FakeSystem();
  const { keeper, announced } = await open(system, founding);
  system.fates.push(busy());
  t.is(await codeOf(keeper.change(setMoves(7))), 'BUSY');
  t.deepEqual([keeper.current.epoch, announced.length], [1, 1]);
  t.is(await keeper.change(setMoves(8)), 2);
});

test('after a change that failed otherwise no more is made, and none was announced', async (t) => {
  const system = new FakeSystem();
  const { keeper, announced } = await open(system, founding);
  system.fates.push(notLeader());
  const asked = [keeper.change(setMoves(7)), keeper.change(setMoves(8))];
  t.deepEqual(await Promise.all(asked.map(codeOf)), ['NOT_LEADER', 'NOT_LEADER']);
  t.is(await codeOf(keeper.change(setMoves(9))), 'NOT_LEADER');
  t.is(announced.length, 1);
  t.is(keeper.current.epoch, 1);
});

test('a draft that makes no map, or throws, fails alone', async (t) => {
  const { keeper } = await open(new FakeSystem(), founding);
  const [broken] = moving(founding, 1, [n1, n2, n4], []).shards;
  const draft: ChangeDraft = { kind: 'moveBegan', summary: '', shards: broken === undefined ? [] : [broken] };
  t.regex(await codeOf(keeper.change(() => draft)), /n4, which is not there/);
  t.regex(
    await codeOf(
      keeper.change(() => {
        throw new Error('no draft');
      }),
    ),
    /no draft/,
  );
  t.is(await keeper.change(setMoves(5)), 2);
});

test('history is the newest first, bounded, and from before an epoch where one is given', async (t) => {
  const { keeper } = await open(new FakeSystem(), founding);
  for (let at = 1; at <= keptChanges + 5; at++) await keeper.change(setMoves(at));
  const epochs = (limit: number, before?: number): readonly number[] =>
    keeper.history(limit, before).map(({ epoch }) => epoch);
  t.deepEqual(epochs(3), [1006, 1005, 1004]);
  t.deepEqual(epochs(2, 1005), [1004, 1003]);
  t.deepEqual(epochs(0), []);
  t.is(epochs(5000).length, keptChanges, 'no more than are kept');
});
