/** shard info: what all its nodes tell of one shard, side by side. */
import { RingraftError } from '../../base/index.js';
import type { ShardDetail, ShardStatus } from '../../wire/index.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { type Colors, colorsFor, json, table } from '../output.js';
import { homeOf, type SeenReplica, shardWarnings } from '../shard-warnings.js';
import { arcText, leaderAmong, replicaOf, survey } from '../survey.js';
import { parseCount } from '../values.js';
import { type Command, text } from './command.js';

type Line = readonly [name: string, value: (replica: ShardStatus) => string | number | undefined];

/** 0 stands for nobody. */
const voteText = (detail: ShardDetail): string => (detail.votedFor === 0 ? 'nobody' : homeOf(detail.votedFor, detail));

const lines: readonly Line[] = [
  ['replica', ({ replicaId }) => replicaId],
  ['leader known', ({ leaderNode }) => leaderNode ?? 'none'],
  ['term', ({ term }) => term],
  ['vote', ({ detail }) => detail && voteText(detail)],
  ['first index', ({ firstIndex }) => firstIndex],
  ['last index', ({ lastIndex }) => lastIndex],
  ['persisted', ({ detail }) => detail?.persistedIndex],
  ['commit', ({ commitIndex }) => commitIndex],
  ['applied', ({ appliedIndex }) => appliedIndex],
  ['quiet', ({ isQuiet }) => (isQuiet === undefined ? undefined : isQuiet ? 'yes' : 'no')],
];

function sideBySide(seen: readonly SeenReplica[], colors: Colors): string {
  const roleText = ({ replica }: SeenReplica): string => {
    if (replica === undefined) return '-';
    if (replica.role === 'leader') return colors.bold(replica.role);
    return replica.role === 'damaged' ? colors.red(replica.role) : replica.role;
  };
  const stateText = ({ state }: SeenReplica): string => (state === 'up' ? colors.green(state) : colors.red(state));
  // A damaged replica knows nothing: its zeros would look like facts.
  const sound = ({ replica }: SeenReplica): ShardStatus | undefined =>
    replica?.role === 'damaged' ? undefined : replica;
  const rows = lines.map(([name, value]) => [
    name,
    ...seen.map((each) => {
      const replica = sound(each);
      return (replica && value(replica)) ?? '-';
    }),
  ]);
  return table(
    [{ name: '' }, ...seen.map(({ nodeId }) => ({ name: nodeId, right: true }))],
    [['node', ...seen.map(stateText)], ['role', ...seen.map(roleText)], ...rows],
    colors,
  );
}

function configurationText(detail: ShardDetail): string {
  const named = (ids: readonly number[]): string =>
    [...ids]
      .sort((a, b) => a - b)
      .map((id) => `${homeOf(id, detail)} (${id})`)
      .join(', ');
  const parts = [`voters ${named(detail.voters) || 'none'}`];
  if (detail.outgoing.length > 0) parts.push(`outgoing ${named(detail.outgoing)}`);
  if (detail.learners.length > 0) parts.push(`learners ${named(detail.learners)}`);
  return parts.join('; ');
}

/** One line where all agree, else one for each opinion. */
function configurations(seen: readonly SeenReplica[]): string {
  const opinions = new Map<string, string[]>();
  for (const { nodeId, replica } of seen) {
    if (replica?.detail === undefined) continue;
    const opinion = configurationText(replica.detail);
    opinions.set(opinion, [...(opinions.get(opinion) ?? []), nodeId]);
  }
  const isOne = opinions.size === 1;
  return [...opinions]
    .map(([opinion, nodes]) => `configuration${isOne ? '' : ` on ${nodes.join(', ')}`}: ${opinion}\n`)
    .join('');
}

function followersOf({ nodeId, replica }: SeenReplica, colors: Colors): string {
  const { detail, lastIndex, isQuiet } = replica as ShardStatus;
  if (detail === undefined || detail.followers.length === 0) return '';
  const followers = [...detail.followers].sort((a, b) => a.replicaId - b.replicaId);
  const rows = followers.map(({ replicaId, state, matchIndex, nextIndex, isActive }) => [
    homeOf(replicaId, detail),
    replicaId,
    state,
    matchIndex,
    nextIndex,
    Math.max(0, lastIndex - matchIndex),
    isActive ? 'yes' : isQuiet === true ? '-' : colors.red('no'),
  ]);
  const names = ['FOLLOWER', 'REPLICA', 'STATE', 'MATCH', 'NEXT', 'LACKS', 'ACTIVE'];
  const right = ['REPLICA', 'MATCH', 'NEXT', 'LACKS'];
  const columns = names.map((name) => ({ name, right: right.includes(name) }));
  return `\n${nodeId}, which leads, sees\n${table(columns, rows, colors)}`;
}

export const shardInfo: Command = {
  command: 'info <shard>',
  describe: 'All about one shard, from all its nodes (exit code 5 when nobody leads it)',
  builder: (parser) =>
    parser
      .positional('shard', { type: 'string', describe: 'Number of the shard; 0: the one that keeps the cluster map' })
      .example('$0 shard info 7', 'what its replicas tell, and what is off')
      .example('$0 shard info 7 -o json', 'the same for a program'),
  async run(context, args) {
    const id = parseCount(text(args, 'shard'), 'the shard');
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const { map } = await client.map(timeoutMs);
    const shard = [map.system, ...map.shards].find((each) => each.id === id);
    if (shard === undefined) throw new RingraftError('WRONG_SHARD', `cluster ${map.cluster} has no shard ${id}`);
    const ids = map.nodes.map((node) => node.id);
    const placed = new Set(shard.replicas.map(({ nodeId }) => nodeId));
    const { leaving } = shard;
    const seen = (await survey(client, ids, timeoutMs, id))
      .map((node) => ({ nodeId: node.id, state: node.state, replica: replicaOf(node, id) }))
      .filter(({ nodeId, replica }) => replica !== undefined || placed.has(nodeId));
    const leader = leaderAmong(seen.flatMap(({ replica }) => (replica === undefined ? [] : [replica])));
    const warnings = shardWarnings(seen);
    const preferred = shard.replicas[0]?.nodeId ?? null;
    if (context.args.output === 'json') {
      const leaderNode = seen.find(({ replica }) => replica !== undefined && replica === leader)?.nodeId ?? null;
      const nodes = seen.map(({ nodeId, state, replica }) => ({ nodeId, state, replica: replica ?? null }));
      await write(
        io.out,
        json({ shard: id, arc: arcText(shard), preferred, leader: leaderNode, leaving, nodes, warnings }),
      );
    } else {
      const colors = colorsFor(io.out, io.env);
      const leading = seen.filter(({ replica }) => replica?.role === 'leader');
      const parts = [
        `shard ${id}, arc ${arcText(shard)}${preferred === null ? '' : `, preferred leader ${preferred}`}\n`,
        leaving.length === 0 ? '\n' : `a move is under way: leaving ${leaving.join(', ')}\n\n`,
        sideBySide(seen, colors),
        `\n${configurations(seen)}`,
        ...leading.map((each) => followersOf(each, colors)),
        ...(warnings.length > 0 ? ['\n'] : []),
        ...warnings.map((warning) => `${colors.yellow('warning:')} ${warning}\n`),
      ];
      await write(io.out, parts.join(''));
    }
    return leader === undefined ? exitCodes.noLeaderOrQuorum : exitCodes.ok;
  },
};
