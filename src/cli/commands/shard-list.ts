/** shard ls: every shard on one line. */
import { RingraftError } from '../../base/index.js';
import type { MapShard, ShardStatus } from '../../wire/index.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { type Colors, colorsFor, json, table } from '../output.js';
import { arcText, leaderAmong, replicaOf, type SurveyedNode, survey } from '../survey.js';
import { type Command, optionalText } from './command.js';

type Replica = {
  readonly nodeId: string;
  /** null: its node does not answer, or has none (yet). */
  readonly role: ShardStatus['role'] | null;
  readonly nodeState: SurveyedNode['state'];
  /** The map has others in its place. */
  readonly leaving: boolean;
};

type Row = {
  readonly shard: number;
  readonly arc: string;
  readonly leader: string | null;
  readonly term: number | null;
  readonly commitIndex: number | null;
  readonly appliedIndex: number | null;
  readonly lagEntries: number | null;
  /** null: its node does not tell. */
  readonly quiet: boolean | null;
  readonly replicas: readonly Replica[];
};

/** What a node that does not answer may still hold. */
const isPerhapsLeaving = ({ id, status }: SurveyedNode, leaving: ReadonlySet<string>): boolean =>
  leaving.has(id) && status === undefined;

function rowOf(shard: MapShard, nodes: readonly SurveyedNode[]): Row {
  const placed = new Set<string>(shard.replicas.map(({ nodeId }) => nodeId));
  const leaving = new Set<string>(shard.leaving);
  const found = nodes
    .map((node) => ({ node, replica: replicaOf(node, shard.id) }))
    .filter(({ node, replica }) => replica !== undefined || placed.has(node.id) || isPerhapsLeaving(node, leaving));
  const known = found.flatMap(({ replica }) => (replica === undefined ? [] : [replica]));
  const leader = leaderAmong(known);
  const sound = known.filter(({ role }) => role !== 'damaged');
  // Without a leader: whoever is furthest.
  const first = leader ?? [...sound].sort((a, b) => b.term - a.term || b.commitIndex - a.commitIndex)[0];
  return {
    shard: shard.id,
    arc: arcText(shard),
    leader: found.find(({ replica }) => replica !== undefined && replica === leader)?.node.id ?? null,
    term: first?.term ?? null,
    commitIndex: first?.commitIndex ?? null,
    appliedIndex: first?.appliedIndex ?? null,
    lagEntries: leader?.lagEntries ?? null,
    quiet: leader?.isQuiet ?? null,
    replicas: found.map(({ node, replica }) => ({
      nodeId: node.id,
      role: replica?.role ?? null,
      nodeState: node.state,
      leaving: leaving.has(node.id),
    })),
  };
}

const marks: Readonly<Record<string, { readonly mark: string; readonly meaning: string }>> = {
  leader: { mark: '*', meaning: 'leads' },
  learner: { mark: '+', meaning: 'learner, does not vote yet' },
  damaged: { mark: '!', meaning: 'damaged, waits to be replaced' },
  unknown: { mark: '?', meaning: 'its node does not answer, or has none' },
};

const leavingMark = { mark: '-', meaning: 'is to go' };

const markOf = ({ role }: Replica): { mark: string; meaning: string } | undefined => marks[role ?? 'unknown'];

function replicaText(replica: Replica, colors: Colors): string {
  const text = `${replica.nodeId}${markOf(replica)?.mark ?? ''}${replica.leaving ? leavingMark.mark : ''}`;
  if (replica.role === 'leader') return colors.bold(text);
  if (replica.role === null || replica.role === 'damaged') return colors.red(text);
  return replica.role === 'learner' ? colors.yellow(text) : text;
}

function stateText({ leader, quiet }: Row, colors: Colors): string {
  if (leader === null) return colors.red('no leader');
  if (quiet === null) return '-';
  return quiet ? colors.dim('quiet') : 'active';
}

function drawn(rows: readonly Row[], colors: Colors): string {
  const right = ['SHARD', 'TERM', 'COMMIT', 'APPLIED', 'LAG'];
  const names = ['SHARD', 'ARC', 'LEADER', 'TERM', 'COMMIT', 'APPLIED', 'LAG', 'STATE', 'REPLICAS'];
  const lines = rows.map((row) => [
    row.shard,
    row.arc,
    row.leader ?? '-',
    row.term ?? '-',
    row.commitIndex ?? '-',
    row.appliedIndex ?? '-',
    row.lagEntries ?? '-',
    stateText(row, colors),
    row.replicas.map((replica) => replicaText(replica, colors)).join(' '),
  ]);
  const drawnTable = table(
    names.map((name) => ({ name, right: right.includes(name) })),
    lines,
    colors,
  );
  const replicas = rows.flatMap((row) => row.replicas);
  const used = new Set([...replicas.map(markOf), replicas.some(({ leaving }) => leaving) ? leavingMark : undefined]);
  const legend = [...Object.values(marks), leavingMark].filter((each) => used.has(each));
  if (legend.length === 0) return drawnTable;
  return `${drawnTable}${legend.map(({ mark, meaning }) => `${mark} ${meaning}`).join('   ')}\n`;
}

export const shardList: Command = {
  command: ['ls', 'list'],
  describe: 'Every shard: who leads it, how far it is, where its replicas are',
  builder: (parser) =>
    parser
      .option('node', { type: 'string', requiresArg: true, describe: 'Only shards with a replica on this node' })
      .example('$0 shard ls', 'all shards')
      .example('$0 shard ls --node n2 -o json', 'those of one node, for a program'),
  async run(context, args) {
    const { io, timeoutMs } = context;
    const only = optionalText(args, 'node');
    const client = await context.connect();
    const { map } = await client.map(timeoutMs);
    const ids = map.nodes.map(({ id }) => id);
    if (only !== undefined && !ids.some((id) => id === only)) {
      throw new RingraftError('BAD_REQUEST', `cluster ${map.cluster} has no node ${only}; it has ${ids.join(', ')}`);
    }
    const nodes = await survey(client, ids, timeoutMs);
    const isShown = ({ replicas }: Row): boolean =>
      only === undefined || replicas.some(({ nodeId }) => nodeId === only);
    const rows = map.shards.map((shard) => rowOf(shard, nodes)).filter(isShown);
    // Only where nodes tell of it: they keep it from this version on.
    const isTold = nodes.some((node) => replicaOf(node, map.system.id) !== undefined);
    const system = isTold ? [rowOf(map.system, nodes)].filter(isShown) : [];
    const { cluster, epoch } = map;
    const data = { cluster, epoch, system: system[0] ?? null, shards: rows };
    const isJson = context.args.output === 'json';
    await write(io.out, isJson ? json(data) : drawn([...system, ...rows], colorsFor(io.out, io.env)));
    return exitCodes.ok;
  },
};
