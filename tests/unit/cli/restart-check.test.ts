/** Goal: a node is stopped only when no shard needs it, and back only when all its replicas follow. Method: pure functions. */
import test from 'ava';
import { nodeId, shardId, systemShardId } from '../../../src/base/index.js';
import { missingOf, reasonToKeep, type Situation } from '../../../src/cli/restart-check.js';
import type { ShardStatus } from '../../../src/wire/index.js';
import { aClusterMap, aMapShard } from '../../support/maps.js';
import { aNode, aShard } from '../../support/statuses.js';
import { aMove, aNodeView, aView } from '../../support/views.js';

/** What n1, n2, ... tell of shard 7; undefined: the node is down. n1 leads unless told otherwise. */
function situation(
  told: readonly (Partial<ShardStatus> | 'nothing' | undefined)[],
  fields: Partial<Situation> = {},
  id = shardId(7),
): Situation {
  const ids = told.map((_, at) => nodeId(`n${at + 1}`));
  const nodes = told.map((shard, at) => {
    const node = ids[at] as (typeof ids)[number];
    if (shard === undefined) return { id: node, state: 'down' as const, status: undefined };
    const role = at === 0 ? ('leader' as const) : ('follower' as const);
    const shards =
      shard === 'nothing' ? [] : [aShard({ shardId: id, role, commitIndex: 5000, appliedIndex: 5000, ...shard })];
    return { id: node, state: 'up' as const, status: aNode(node, shards) };
  });
  const shards = id === systemShardId ? [] : [aMapShard({ id, arcStart: 0, arcEnd: 2 ** 32 }, ids)];
  return { map: aClusterMap(ids, shards), view: aView(ids.map((each) => aNodeView(each))), nodes, ...fields };
}

test('in a healthy shard any one may go, and everyone is back', (t) => {
  const well = situation([{}, {}, {}]);
  for (const id of ['n1', 'n2', 'n3']) {
    t.is(reasonToKeep(id, well), undefined);
    t.is(missingOf(id, well), undefined);
  }
});

test('with one of three away, behind, without a leader or damaged, the others must stay, that one may go', (t) => {
  for (const [third, said] of [
    [undefined, /n3: it tells nothing of shard 7/],
    ['nothing', /n3: it tells nothing of shard 7/],
    [{ appliedIndex: 3999 }, /n3: it lacks 1,001 entries of shard 7/],
    [{ leaderNode: null }, /n3: it knows of no leader of shard 7/],
    [{ role: 'candidate' }, /n3: it knows of no leader of shard 7/],
    [{ role: 'learner' }, /n3: its replica of shard 7 does not vote yet/],
    [{ role: 'damaged' }, /n3: its replica of shard 7 is damaged/],
  ] as const) {
    const hurt = situation([{}, {}, third]);
    t.regex(reasonToKeep('n1', hurt) ?? '', /without it shard 7 would have no majority/);
    t.regex(reasonToKeep('n2', hurt) ?? '', said);
    t.is(reasonToKeep('n3', hurt), undefined);
    t.regex(missingOf('n3', hurt) ?? '', third === undefined ? /does not answer/ : /shard 7/);
  }
  t.is(reasonToKeep('n2', situation([{}, {}, { appliedIndex: 4000 }])), undefined, 'a little behind is usual');
});

test('of five two may be away, not three; of two neither may go; a single replica always goes', (t) => {
  t.is(reasonToKeep('n2', situation([{}, {}, {}, {}, undefined])), undefined);
  t.truthy(reasonToKeep('n2', situation([{}, {}, {}, undefined, undefined])));
  t.truthy(reasonToKeep('n2', situation([{}, {}])));
  t.is(reasonToKeep('n1', situation([{}])), undefined);
});

test('a shard that nobody leads needs everyone', (t) => {
  const lost = situation([{ role: 'follower' }, {}, {}]);
  t.regex(reasonToKeep('n2', lost) ?? '', /shard 7 has no leader/);
  t.regex(missingOf('n2', lost) ?? '', /shard 7 has no leader/);
});

test('the system shard counts as any other, where nodes tell of it', (t) => {
  const behind = situation([{}, {}, { appliedIndex: 0 }], {}, systemShardId);
  t.regex(reasonToKeep('n2', behind) ?? '', /without it the system shard would have no majority/);
  t.regex(missingOf('n3', behind) ?? '', /lacks 5,000 entries of the system shard/);
  t.is(missingOf('n3', situation(['nothing', 'nothing', 'nothing'], {}, systemShardId)), undefined);
});

test('a node is not back before the manager hears it and the map has it', (t) => {
  const nodes = ['n1', 'n2'].map((id) => aNodeView(id));
  const unheard = { view: aView([...nodes, aNodeView('n3', { liveness: 'suspect' })]) };
  t.is(missingOf('n3', situation([{}, {}, {}], unheard)), 'to the manager it is suspect');
  t.is(missingOf('n3', situation([{}, {}, {}], { view: aView(nodes) })), 'the map does not have it');
});

test('a replica that is only just being moved there does not hold the others up', (t) => {
  const views = ['n1', 'n2', 'n3'].map((id) => aNodeView(id));
  const moving = { view: aView(views, { moves: [aMove({ to: [nodeId('n3')] })] }) };
  t.is(missingOf('n3', situation([{}, {}, { role: 'learner' }], moving)), undefined);
  t.truthy(missingOf('n2', situation([{}, { role: 'learner' }, {}], moving)));
});
