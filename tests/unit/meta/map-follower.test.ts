/** Goal: a node has the newest map soon, whatever it missed, keeps it, and takes nothing else for a map. */
import test from 'ava';
import { silentLogger } from '../../../src/base/index.js';
import { MapSaver } from '../../../src/host/map-saver.js';
import { applyChange } from '../../../src/meta/map-changes.js';
import { MapFollower } from '../../../src/meta/map-follower.js';
import {
  adminSubject,
  type ClusterMap,
  type MapChange,
  managerSubject,
  mapChangeSubject,
  mapSubject,
} from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { usualSettings } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { aMap, FakeSystem, fakeHost, n1, n2, n3 } from './fake-system.js';

const first = aMap(2, [n1, n2, n3]);
const changeTo = (epoch: number): MapChange => ({
  ...{ epoch, atMs: 0, kind: 'settingsChanged', summary: '' },
  settings: { ...usualSettings, maxMoves: epoch },
});
const maps = [first];
for (let epoch = 2; epoch <= 20; epoch++) maps.push(applyChange(maps.at(-1) as ClusterMap, changeTo(epoch)));
const mapAt = (epoch: number): ClusterMap => maps[epoch - 1] as ClusterMap;

async function start(own: ClusterMap = first) {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const { host, adopted } = fakeHost(own, new FakeSystem());
  const confirmed: number[] = [];
  Object.assign(host, {
    confirmMap: (map: ClusterMap) => {
      confirmed.push(map.epoch);
      return host.adoptMap(map);
    },
  });
  const saved: ClusterMap[] = [];
  const fatal: unknown[] = [];
  const adopt = host.adoptMap.bind(host);
  const saver = new MapSaver(host.maps, async (map) => {
    await new Promise<void>((resolve) => clock.after(50, resolve));
    saved.push(map);
  });
  const onFatal = (error: unknown): void => void fatal.push(error);
  const follower = new MapFollower({ bus, clock, logger: silentLogger, host, cluster: 'test', onFatal });
  Object.assign(host, {
    saveMap: () => saver.save(),
    adoptMap: (map: ClusterMap) => {
      const isNewer = adopt(map);
      if (isNewer) follower.onMap();
      return isNewer;
    },
  });
  follower.start();
  await clock.advance(10);
  const announce = async (change: unknown): Promise<void> => {
    const text = typeof change === 'string' ? change : JSON.stringify(change);
    bus.publish('client', mapChangeSubject('test'), Buffer.from(text));
    await clock.advance(10);
  };
  const serve = (subject: string, map: () => unknown) =>
    bus.subscribe('client', subject, ({ replyTo }) => {
      if (replyTo !== undefined) bus.publish('client', replyTo, Buffer.from(JSON.stringify({ map: map() })));
    });
  const asked = (subject: string): number => bus.published.filter((message) => message.subject === subject).length;
  const epoch = (): number => host.maps.current.epoch;
  return { clock, bus, follower, adopted, confirmed, saved, fatal, announce, serve, asked, epoch };
}

test('a change that follows is applied, an older one changes nothing', async (t) => {
  const { announce, adopted, asked } = await start();
  for (const epoch of [2, 2, 1, 3]) await announce(changeTo(epoch));
  t.deepEqual(adopted, [mapAt(2), mapAt(3)]);
  t.is(asked(mapSubject('test')), 0, 'nothing was missed');
});

test('after a gap the whole map is fetched, not more often than every half second', async (t) => {
  const { clock, announce, serve, epoch, asked } = await start();
  serve(mapSubject('test'), () => mapAt(7));
  await announce(changeTo(5));
  t.is(epoch(), 7);
  for (const each of [9, 10, 11]) await announce(changeTo(each));
  t.is(asked(mapSubject('test')), 1);
  await clock.advance(500);
  await announce(changeTo(12));
  t.is(asked(mapSubject('test')), 2);
});

test('a change that founds is fetched whole', async (t) => {
  const { announce, serve, epoch } = await start({ ...first, epoch: 0 });
  serve(mapSubject('test'), () => first);
  await announce({ epoch: 1, atMs: 0, kind: 'founded', summary: '' });
  t.is(epoch(), 1);
});

test('an epoch heard of is fetched from the node that has it, a lower one is not', async (t) => {
  const { clock, follower, serve, epoch, asked } = await start(mapAt(3));
  serve(adminSubject('test', n2), () => mapAt(8));
  follower.heardOf(3, n2);
  follower.heardOf(2, n2);
  await clock.advance(10);
  t.is(asked(adminSubject('test', n2)), 0);
  follower.heardOf(8, n2);
  follower.heardOf(8, n2);
  await clock.advance(10);
  t.deepEqual([epoch(), asked(adminSubject('test', n2))], [8, 1]);
});

test('the manager is asked until it has answered, and its map alone is confirmed', async (t) => {
  const { clock, announce, serve, confirmed, asked } = await start();
  serve(mapSubject('test'), () => mapAt(5));
  await announce(changeTo(4));
  await clock.advance(5000);
  t.deepEqual(confirmed, []);
  t.true(asked(managerSubject('test')) >= 10);
  serve(managerSubject('test'), () => mapAt(9));
  await clock.advance(1000);
  t.deepEqual(confirmed, [9]);
  const before = asked(managerSubject('test'));
  await clock.advance(5000);
  t.is(asked(managerSubject('test')), before);
});

test('an adopted map is saved at once; of those that come while one is being saved, the last', async (t) => {
  const { clock, announce, saved } = await start();
  await announce(changeTo(2));
  await announce(changeTo(3));
  await announce(changeTo(4));
  t.deepEqual(saved, []);
  await clock.advance(200);
  t.deepEqual(saved, [mapAt(2), mapAt(4)]);
});

test('what is no change and no map is dropped: the node goes on and asks for the whole', async (t) => {
  const { clock, announce, serve, epoch, fatal } = await start();
  const [shard] = first.shards;
  const nowhere = { ...changeTo(2), shards: [{ ...shard, replicas: [{ nodeId: 'n9' }] }] };
  const served: unknown[] = [null, 7, {}, { epoch: 5 }, { ...mapAt(5), nodes: [] }, { ...mapAt(5), epoch: '5' }, []];
  serve(mapSubject('test'), () => (served.length > 0 ? served.shift() : mapAt(6)));
  for (const wrong of ['', '{', 'null', '7', '{}', '[]', '{"epoch":"2"}', '{"epoch":2,"shards":7}', nowhere]) {
    await announce(wrong);
    await clock.advance(600);
    t.deepEqual(fatal, [], JSON.stringify(wrong));
  }
  t.is(epoch(), served.length > 0 ? 1 : 6);
  while (served.length > 0 || epoch() === 1) {
    await announce(changeTo(20));
    await clock.advance(600);
    t.deepEqual(fatal, []);
  }
  t.is(epoch(), 6);
});

test('a map of another cluster, or one that places keys otherwise, stops the node', async (t) => {
  for (const wrong of [
    { ...mapAt(9), cluster: 'other' },
    { ...aMap(3, [n1, n2, n3]), epoch: 9 },
    { ...mapAt(9), raft: { ...first.raft, leaseMs: 149 } },
  ]) {
    const { announce, serve, fatal } = await start();
    serve(mapSubject('test'), () => wrong);
    await announce(changeTo(9));
    t.regex(String(fatal[0]), /was begun with/);
  }
});

test('a follower that is stopped changes nothing any more', async (t) => {
  const { clock, announce, follower, epoch } = await start();
  follower.stop();
  await announce(changeTo(2));
  await clock.advance(1000);
  t.deepEqual([epoch(), clock.armed], [1, 0]);
});
