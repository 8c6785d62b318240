/**
 * Goal: a node begins the replicas it is invited to, and removes those that the manager's map places elsewhere, neither
 * too early nor half. Method: a real log on a simulated disk, real cores, a bus on a virtual clock, a store that is slow
 * when a test says so.
 */
import test from 'ava';
import {
  isRingraftError,
  type NodeId,
  noReplica,
  replicaId,
  seededRandom,
  shardId,
  silentLogger,
  systemShardId,
} from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import { LocalMap } from '../../../src/host/local-map.js';
import { type Invitation, Replicas } from '../../../src/host/replicas.js';
import type { Store } from '../../../src/kv/index.js';
import { type AdminRequest, adminSubject, type ClusterMap, type MapShard } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { aClusterMap, aMapShard, usualTimings } from '../../support/maps.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { openLog, settled } from '../../support/wal-calls.js';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'] as [NodeId, NodeId, NodeId, NodeId];
const shard1 = shardId(1);
const arc = { id: shard1, arcStart: 0, arcEnd: 2 ** 32 };
const system = aMapShard({ id: systemShardId, arcStart: 0, arcEnd: 0 }, [n2]);

const mapWith = (shard: MapShard, epoch: number): ClusterMap =>
  aClusterMap([n1, n2, n3, n4], [shard], { epoch, system, replication: 3 });
const here = mapWith(aMapShard(arc, [n1, n2, n3]), 1);
const leavingHere = mapWith(aMapShard(arc, [n4, n2, n3], { leaving: [n1] }), 2);
const elsewhere = mapWith(aMapShard(arc, [n4, n2, n3]), 3);

type Setting = { readonly node?: NodeId; readonly map?: ClusterMap; readonly disk?: MemoryDisk };

class Fixture {
  readonly clock = new VirtualClock();
  readonly bus = new LocalBus(this.clock);
  /** In the order in which it happened. */
  readonly doings: string[] = [];
  readonly abandoned: Group[] = [];
  readonly fatal: unknown[] = [];
  readonly disk: MemoryDisk;
  /** Releases a removal that waits, where one does. */
  release: () => void = () => {};
  holdsRemovals = false;
  replicas = undefined as unknown as Replicas;
  maps: LocalMap;

  private constructor(readonly setting: Setting) {
    this.disk = setting.disk ?? new MemoryDisk();
    this.maps = new LocalMap(setting.map ?? { ...here, epoch: 0 });
  }

  static async start(setting: Setting = {}): Promise<Fixture> {
    const fixture = new Fixture(setting);
    await fixture.open();
    return fixture;
  }

  private store(): Store {
    const nothing = { shardId: shard1, appliedIndex: 0, appliedTerm: 0, needsSnapshot: false };
    return {
      openShard: async () => ({
        ...nothing,
        configuration: { voters: [], outgoing: [], learners: [], learnersNext: [] },
      }),
      createShard: () => {},
      clearShard: async () => void this.doings.push('cleared'),
      firstStart: async () => (this.setting.disk === undefined ? 'none' : 'done'),
      noteFirstStart: async () => {},
      hasStateOf: async () => false,
      removeShard: async (id: number) => {
        const recovered = (await openLog(MemoryDisk.of(this.disk.image()))).recovered.has(shardId(id));
        this.doings.push(`data of ${id} removed, ${recovered ? 'its replica in the log' : 'its replica gone'}`);
        if (this.holdsRemovals) await new Promise<void>((resolve) => (this.release = resolve));
      },
    } as unknown as Store;
  }

  private async open(): Promise<void> {
    const { clock, bus, maps } = this;
    const wal = await openLog(this.disk);
    const parts = { clock, bus, maps, random: seededRandom(1), logger: silentLogger, wal, store: this.store() };
    const mark = (): void => {};
    const abandon = (group: Group): void => void this.abandoned.push(group);
    const onFatal = (error: unknown): void => void this.fatal.push(error);
    const keepMap = async (): Promise<void> => void this.doings.push(`map ${maps.current.epoch} kept`);
    this.replicas = new Replicas(
      { ...parts, mark, abandon, keepMap, onFatal },
      {
        ...{ nodeId: this.setting.node ?? n1, version: 'test', incarnation: 1, cluster: 'test', mayFound: true },
        raft: { ...usualTimings, maxAppendBytes: 1000, maxInflightAppends: 4, maxUncommittedBytes: 100_000 },
        limits: {} as never,
      },
    );
    await this.replicas.open();
    this.replicas.start();
  }

  /** So long, and until the disk has done what it can. */
  async pass(durationMs: number): Promise<void> {
    for (let part = 0; part < 5; part++) {
      await this.clock.advance(durationMs / 5);
      await settled(5);
    }
  }

  get group(): Group | undefined {
    return this.replicas.get(shard1);
  }

  get waiting(): readonly number[] {
    return [...this.replicas.waiting].map((replica) => Number(replica.shardId));
  }

  invite(fields: Partial<Invitation> = {}): string {
    try {
      this.replicas.accept({ ...invitation, ...fields });
      return 'accepted';
    } catch (error) {
      return isRingraftError(error) ? error.code : String(error);
    }
  }

  /** The shard's leader takes in whatever replica asks for it. */
  takeIn(node: NodeId): void {
    this.bus.subscribe('client', adminSubject('test', node), ({ payload, replyTo }) => {
      const request = JSON.parse(payload.toString()) as AdminRequest;
      if (request.op !== 'replaceReplica' || replyTo === undefined) return;
      this.bus.publish('client', replyTo, Buffer.from(JSON.stringify({ member: request.newReplicaId })));
    });
  }
}

const invitation: Invitation = {
  ...{ op: 'hostReplica', shardId: 1, term: 5, configurationIndex: 20 },
  members: [2, 3],
};

test('an invitation to a shard the map places here begins a replica under an id never used', async (t) => {
  const fixture = await Fixture.start({ node: n4, map: here });
  fixture.replicas.adopt(leavingHere);
  t.is(fixture.group, undefined);
  fixture.takeIn(n2);
  t.is(fixture.invite(), 'accepted');
  t.is(fixture.invite(), 'accepted', 'twice is once');
  t.deepEqual(fixture.waiting, [1]);
  await fixture.pass(1000);
  t.true((fixture.group?.replicaId ?? noReplica) >= 65_536);
  t.deepEqual(fixture.doings, ['map 2 kept', 'cleared'], 'the map that places it here first');
  t.deepEqual(fixture.waiting, []);
});

test('an invitation is BUSY while the map places no replica here, or the shard is being removed', async (t) => {
  const stranger = await Fixture.start({ node: n4, map: here });
  t.is(stranger.invite(), 'BUSY');
  t.is(stranger.invite({ shardId: 99 }), 'BUSY');
  const fixture = await Fixture.start();
  fixture.holdsRemovals = true;
  fixture.replicas.confirm(elsewhere);
  await fixture.pass(10);
  t.is(fixture.group, undefined);
  fixture.replicas.adopt(mapWith(aMapShard(arc, [n1, n2, n3]), 4));
  t.is(fixture.invite(), 'BUSY', 'the data of the old one are not gone yet');
  t.deepEqual(fixture.waiting, []);
  fixture.release();
  await fixture.pass(10);
  t.is(fixture.invite(), 'accepted');
  t.deepEqual(fixture.waiting, [1]);
});

test('an invitation that names the replica there as a member changes nothing; one that does not replaces it', async (t) => {
  const fixture = await Fixture.start();
  const { group } = fixture as { group: Group };
  t.is(fixture.invite({ members: [1, 2, 3] }), 'accepted');
  t.is(fixture.group, group);
  t.is(fixture.invite({ members: [2, 3] }), 'accepted');
  t.is(fixture.group, undefined);
  t.true(group.isRemoved);
  t.deepEqual(fixture.abandoned, [group]);
  await fixture.pass(10);
  t.deepEqual(fixture.waiting, [1]);
  t.deepEqual(fixture.fatal, []);
});

test('an invitation from before the replica was taken in is of the past', async (t) => {
  const fixture = await Fixture.start();
  const { group } = fixture as { group: Group };
  t.true(group.raft.configuration.voters.includes(replicaId(1)));
  const { configurationIndex, currentTerm } = group.raft;
  t.is(fixture.invite({ configurationIndex, term: currentTerm }), 'accepted');
  t.is(fixture.group, group, 'it knows of the same configuration, in which it is a member');
  Object.defineProperty(group.raft, 'currentTerm', { value: 6 });
  t.is(fixture.invite({ term: 5 }), 'accepted');
  t.is(fixture.group, group, 'a leader of an earlier term');
  t.is(fixture.invite({ term: 6 }), 'accepted');
  t.is(fixture.group, undefined);
});

test('a replica that leads, or installs a snapshot, is not replaced for an invitation', async (t) => {
  const leading = await Fixture.start();
  Object.defineProperty((leading.group as Group).raft, 'isLeader', { value: true });
  leading.invite();
  t.not(leading.group, undefined);
  const installing = await Fixture.start();
  (installing.group as Group).installing = true;
  installing.invite();
  t.not(installing.group, undefined);
});

test('a replica is removed when the map of the manager places it elsewhere, and not while it is tolerated', async (t) => {
  const fixture = await Fixture.start();
  const { group } = fixture as { group: Group };
  fixture.replicas.confirm(leavingHere);
  t.is(fixture.group, group);
  fixture.replicas.adopt(elsewhere);
  t.is(fixture.group, undefined);
  t.true(group.isRemoved);
  await fixture.pass(10);
  t.is(fixture.replicas.removed, 1);
});

test('a map that the manager has not shown in this life removes nothing, however new it is', async (t) => {
  const fixture = await Fixture.start();
  fixture.replicas.adopt(elsewhere);
  fixture.replicas.step(0);
  t.not(fixture.group, undefined);
  t.false(fixture.replicas.confirm(elsewhere), 'it is no newer');
  t.is(fixture.group, undefined);
});

test('the tombstone of a removed replica is in the log before its data go, so that no start brings it back', async (t) => {
  const fixture = await Fixture.start();
  fixture.replicas.confirm(elsewhere);
  await fixture.pass(10);
  t.deepEqual(fixture.doings, ['data of 1 removed, its replica gone']);
  fixture.disk.crash();
  const again = await Fixture.start({ disk: fixture.disk, map: elsewhere });
  t.is(again.group, undefined);
  t.deepEqual(again.waiting, []);
});

test('a replica that leads, or installs a snapshot, is removed once it does not, without another map', async (t) => {
  for (const hold of ['isLeader', 'installing'] as const) {
    const fixture = await Fixture.start();
    const { group } = fixture as { group: Group };
    const set = (value: boolean): void => {
      if (hold === 'installing') group.installing = value;
      else Object.defineProperty(group.raft, 'isLeader', { value, configurable: true });
    };
    set(true);
    Object.defineProperty(group.raft, 'isConfigurationCommitted', { value: false });
    fixture.replicas.confirm(elsewhere);
    fixture.replicas.step(0);
    t.is(fixture.group, group, hold);
    set(false);
    fixture.replicas.step(0);
    t.is(fixture.group, undefined, hold);
    await fixture.pass(10);
    t.is(fixture.replicas.removed, 1, hold);
  }
});

test('what is placed here and nobody invites to is asked for, once the manager has shown its map', async (t) => {
  const fixture = await Fixture.start({ node: n4, map: here });
  fixture.replicas.adopt(leavingHere);
  for (let time = 0; time < 3; time++) fixture.replicas.step(0);
  t.deepEqual(fixture.waiting, [], 'the map may be old');
  fixture.replicas.confirm(elsewhere);
  fixture.replicas.step(0);
  t.deepEqual(fixture.waiting, [], 'an invitation is waited for a moment');
  fixture.replicas.step(0);
  t.deepEqual(fixture.waiting, [1]);
});

test('a replica that waits to be begun is not, when the map places it elsewhere meanwhile', async (t) => {
  const fixture = await Fixture.start({ node: n4, map: here });
  fixture.replicas.adopt(leavingHere);
  fixture.invite();
  fixture.replicas.confirm(mapWith(aMapShard(arc, [n1, n2, n3]), 4));
  t.deepEqual(fixture.waiting, []);
  t.is(fixture.group, undefined);
});

test('the first replica of the map is the preferred leader from the moment the map is taken over', async (t) => {
  const fixture = await Fixture.start();
  t.is(fixture.group?.preferredNode, n1);
  fixture.replicas.adopt(mapWith(aMapShard(arc, [n3, n1, n2]), 2));
  t.is(fixture.group?.preferredNode, n3);
});

test('a leader invites the node that should have a replica, and says who is a member', async (t) => {
  const fixture = await Fixture.start();
  const { group } = fixture as { group: Group };
  Object.defineProperty(group.raft, 'isLeader', { value: true });
  Object.defineProperty(group.raft, 'isConfigurationCommitted', { value: true });
  fixture.replicas.adopt(mapWith(aMapShard(arc, [n1, n2, n4], { leaving: [n3] }), 2));
  t.true(fixture.replicas.step(0));
  const sent = fixture.bus.published.filter(({ subject }) => subject === adminSubject('test', n4));
  t.deepEqual(
    sent.map(({ payload }) => JSON.parse(payload.toString())),
    [{ op: 'hostReplica', shardId: 1, term: 0, configurationIndex: 0, members: [1, 2, 3] }],
  );
  t.like(fixture.replicas.reports()[0], { phase: 'waiting', missing: [n4], epoch: 1 });
});
