/** shard rebuild: a replica is given up and brought up anew from its shard's leader. */
import { isRingraftError, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { ShardStatus } from '../../wire/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { formatCount, parseCount } from '../values.js';
import { type Command, flag, text } from './command.js';

const pollMs = 100;

export const rebuild: Command = {
  command: 'rebuild <shard>',
  describe: "Replace a node's replica of a shard by a new one, copied from the leader",
  builder: (parser) =>
    parser
      .positional('shard', { type: 'string', describe: 'Number of the shard' })
      .option('node', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'The node whose replica is replaced',
      })
      .option('wait', { type: 'boolean', describe: 'Stay until the new replica votes, at most --timeout' })
      .example('$0 shard rebuild 7 --node n2', 'a replica whose disk you do not trust')
      .example('$0 shard rebuild 7 --node n2 --wait -t 2m', 'and wait until it votes again'),
  async run(context, args) {
    const shard = parseCount(text(args, 'shard'), 'the shard', 1);
    const node = text(args, 'node');
    const { timeoutMs, io } = context;
    const client = await context.connect();
    const deadlineMs = performance.now() + timeoutMs;
    const old = await replicaOn(client, node, shard, timeoutMs);
    await client.rebuildReplica(shard, node, timeoutMs);
    io.err.write(`shard ${shard}: ${node} gives up its replica and begins a new one\n`);
    if (flag(args, 'wait')) await untilVoting(context, client, { shard, node, oldId: old?.replicaId, deadlineMs });
    return io.signal.aborted ? exitCodes.interrupted : exitCodes.ok;
  },
};

async function replicaOn(
  client: RingraftClient,
  node: string,
  shard: number,
  timeoutMs: number,
): Promise<ShardStatus | undefined> {
  const { shards } = await client.nodeStatus(node, timeoutMs, shard);
  return shards.find(({ shardId }) => shardId === shard);
}

type Awaited = {
  readonly shard: number;
  readonly node: string;
  readonly oldId: number | undefined;
  readonly deadlineMs: number;
};

async function untilVoting(
  { io, timeoutMs }: Context,
  client: RingraftClient,
  { shard, node, oldId, deadlineMs }: Awaited,
): Promise<void> {
  const show = stateLine(io, `shard ${shard} on ${node}`);
  for (;;) {
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) {
      show.end();
      const message = `the new replica of shard ${shard} on ${node} does not vote after ${timeoutMs} ms; it goes on by itself`;
      throw new RingraftError('TIMEOUT', message, { happened: 'unknown' });
    }
    let replica: ShardStatus | undefined;
    try {
      replica = await replicaOn(client, node, shard, leftMs);
    } catch (error) {
      // The node may be starting again; what it has begun it goes on with.
      if (!isRingraftError(error, 'UNREACHABLE') && !isRingraftError(error, 'TIMEOUT')) throw error;
    }
    const isDone = replica !== undefined && replica.replicaId !== oldId && isVoting(replica);
    show.line(isDone ? 'votes again' : phaseOf(replica), isDone ? '' : progressOf(replica));
    if (isDone || io.signal.aborted) {
      show.end();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(pollMs, leftMs)));
  }
}

const isVoting = ({ role, leaderNode }: ShardStatus): boolean =>
  (role === 'leader' || role === 'follower') && leaderNode !== null;

const phaseOf = (replica: ShardStatus | undefined): string =>
  replica?.role === 'learner' ? 'catches up with the leader' : 'waits for the leader to take it in';

const progressOf = (replica: ShardStatus | undefined): string =>
  replica?.role === 'learner' ? `, at entry ${formatCount(replica.appliedIndex)}` : '';

/** One line that is rewritten on a terminal; elsewhere a line for every phase. */
function stateLine(io: Pick<Io, 'err'>, what: string): { line(phase: string, progress: string): void; end(): void } {
  const isTerminal = io.err.isTTY === true;
  let shown = '';
  return {
    line(phase, progress) {
      const state = isTerminal ? phase + progress : phase;
      if (state === shown) return;
      shown = state;
      io.err.write(isTerminal ? `\r\x1b[K${what}: ${state}` : `${what}: ${state}\n`);
    },
    end() {
      if (isTerminal) io.err.write('\n');
    },
  };
}
