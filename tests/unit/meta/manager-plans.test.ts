/**
 * Goal: what the manager does with a map leads to where it should be, whatever order its changes come in. Method: a manager
 * over a system shard that only remembers, on a virtual clock; every move that begins is reported done some time later.
 */
import test from 'ava';
import { nodeId, silentLogger } from '../../../src/base/index.js';
import { allShards } from '../../../src/host/index.js';
import { foundingMap } from '../../../src/meta/founding-map.js';
import { Manager } from '../../../src/meta/manager.js';
import { drain, recommission } from '../../../src/meta/orders.js';
import { initHash } from '../../../src/ring/index.js';
import { usualSettings, usualTimings } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const nodes = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map(nodeId);
const shards = 16;

async function begin(clock: VirtualClock): Promise<Manager> {
  await initHash();
  const founding = foundingMap({
    cluster: 'test',
    shards,
    replication: 3,
    nodes: nodes.map((id) => ({ id, zone: `z-${id}`, weight: 1 })),
    buckets: [{ name: 'default', id: 1 }],
    management: usualSettings,
    raft: usualTimings,
  });
  const system = { read: async () => new Map<string, string>(), write: async () => {} };
  const watch = { sightOf: () => ({ state: 'alive', forMs: 1e9, lastHeardAgoMs: 0, facts: undefined }) };
  const parts = { clock, logger: silentLogger, watch, onFatal: (error: unknown) => Promise.reject(error) };
  const keeping = { clock, system, term: 1, onChange: () => {} };
  return Manager.begin(parts as never, keeping as never, async () => founding);
}

/** Every move under way is reported done. */
function finishMoves(manager: Manager): void {
  const moving = allShards(manager.map).filter(({ leaving }) => leaving.length > 0);
  manager.takeReports(
    moving.map(({ id, epoch }) => ({
      shardId: id,
      epoch,
      term: 1,
      phase: 'settled',
      missing: [],
      matchIndex: 0,
      lastIndex: 0,
    })),
  );
}

const loadsOf = ({ map }: Manager): readonly number[] =>
  nodes.map((id) => map.shards.filter(({ replicas }) => replicas.some((one) => one.nodeId === id)).length);

test('a drain is taken back at any moment: in the end every node holds its share, within a tenth', async (t) => {
  for (let waitMs = 0; waitMs <= 3000; waitMs += 250) {
    for (const node of nodes) {
      const clock = new VirtualClock();
      const manager = await begin(clock);
      await clock.advance(1000);
      await manager.keeper.change((map) => drain(map, node));
      for (let atMs = 0; atMs < waitMs; atMs += 250) {
        await clock.advance(250);
        if (atMs % 500 === 0) finishMoves(manager);
      }
      await manager.keeper.change((map) => recommission(map, node));
      for (let step = 0; step < 60; step++) {
        await clock.advance(300);
        finishMoves(manager);
      }
      manager.stop();
      t.is(allShards(manager.map).filter(({ leaving }) => leaving.length > 0).length, 0);
      const loads = loadsOf(manager);
      t.true(
        loads.every((load) => load >= 7 && load <= 9),
        `${node} taken back after ${waitMs} ms: ${loads}`,
      );
    }
  }
});
