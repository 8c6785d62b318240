/** fault ...: does harm to the cluster on this machine, so that what is built on it can be seen to bear it. */
import { RingraftError } from '../../base/index.js';
import { type FaultGround, type FaultSpec, type Injection, injectFault, removeFault } from '../../faults/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import {
  leaderOf,
  parseDelay,
  parseDirection,
  parseGroups,
  parseOffset,
  parseRate,
  parseShare,
  undoText,
} from '../fault-words.js';
import { write } from '../io.js';
import { localFaultGround } from '../local/fault-ground.js';
import { mapWithLeaders } from '../local/leaders.js';
import { requireLocal } from '../local/restart.js';
import { json } from '../output.js';
import { formatDuration, parseDuration } from '../values.js';
import type { Argv } from '../yargs.js';
import { type Arguments, type Command, flag, optionalText, text, texts } from './command.js';

/** Long enough for what shows at once. */
const seenTimeoutMs = 5000;
const longMs = 3_600_000;

export const faultGroundOf = (context: Context): FaultGround =>
  localFaultGround(context.stateDirectory, requireLocal(context, 'faults are for clusters of `kvctl up`'), context);

/** `leader-of:7` stands for a node. */
async function nodeMeant(context: Context, word: string): Promise<string> {
  const shard = leaderOf(word);
  if (shard === undefined) return word;
  const { map, leaders } = await mapWithLeaders(await context.connect(), context.timeoutMs);
  const at = map.shards.findIndex(({ id }) => id === shard);
  if (at < 0) throw new RingraftError('WRONG_SHARD', `cluster ${map.cluster} has no shard ${shard}`);
  const leader = leaders[at] ?? null;
  if (leader === null) throw new RingraftError('NO_LEADER', `shard ${shard} has no leader at the moment`);
  return leader;
}

const lastOptions = (parser: Argv): Argv =>
  parser
    .option('for', { type: 'string', requiresArg: true, describe: 'Heal after so long [default: at Ctrl-C]' })
    .option('detach', { type: 'boolean', describe: 'Leave it in force and end' })
    .conflicts('for', 'detach');

/** Says what was done and how to undo it, and stays until it is undone. */
async function inject(context: Context, args: Arguments, spec: FaultSpec): Promise<number> {
  const { io } = context;
  const ground = faultGroundOf(context);
  const lasting = optionalText(args, 'for');
  const forMs = lasting === undefined ? undefined : parseDuration(lasting);
  const injection = await injectFault(ground, spec, { seenTimeoutMs, mustShow: false, signal: io.signal });
  await report(context, injection);
  const isOver = spec.kind === 'reset';
  if (isOver || flag(args, 'detach')) {
    if (isOver) await removeFault(ground, injection);
    return exitCodes.ok;
  }
  io.err.write(
    forMs === undefined
      ? 'Ctrl-C heals it\n'
      : `heals by itself after ${formatDuration(forMs)}; Ctrl-C heals it at once\n`,
  );
  if (forMs !== undefined) await context.pause(forMs);
  // A timer: nothing else keeps this process there.
  else while (!io.signal.aborted) await context.pause(longMs);
  await removeFault(ground, injection);
  if (context.args.output !== 'json') await write(io.out, `healed ${injection.id}\n`);
  return exitCodes.ok;
}

async function report(context: Context, { id, spec, description, evidence }: Injection): Promise<void> {
  const undo = undoText(spec, id);
  if (context.args.output === 'json') {
    await write(context.io.out, json({ id, fault: spec, description, seen: evidence ?? null, undo }));
    return;
  }
  const seen = evidence ?? 'nothing shows it yet; some faults show only under load';
  await write(context.io.out, `${id}: ${description}\nseen:  ${seen}\nundo:  ${undo}\n`);
}

const nodeWords = 'A node, or leader-of:SHARD';

/** A fault of one node. */
const ofNode = (
  kind: 'isolate' | 'bridge' | 'slow-consumer' | 'kill' | 'pause' | 'broker-restart' | 'disk-full',
  describe: string,
  example: readonly [string, string],
): Command => ({
  command: `${kind} <node>`,
  describe,
  builder: (parser) =>
    lastOptions(parser.positional('node', { type: 'string', describe: nodeWords })).example(
      `$0 fault ${kind} ${example[0]}`,
      example[1],
    ),
  async run(context, args) {
    return inject(context, args, { kind, node: await nodeMeant(context, text(args, 'node')) });
  },
});

/** Of the links between two nodes, in both directions. */
const pairArguments = (parser: Argv): Argv =>
  lastOptions(
    parser
      .positional('a', { type: 'string', describe: nodeWords })
      .positional('b', { type: 'string', describe: nodeWords }),
  );

const pairOf = async (context: Context, args: Arguments): Promise<readonly [string, string]> => [
  await nodeMeant(context, text(args, 'a')),
  await nodeMeant(context, text(args, 'b')),
];

const split: Command = {
  command: 'split <groups..>',
  describe: 'Cut the nodes into groups that do not hear each other',
  builder: (parser) =>
    lastOptions(parser.positional('groups', { type: 'string', describe: '"n1,n2 | n3,n4,n5"' }))
      .example('$0 fault split "n1,n2 | n3,n4,n5" --for 10s', 'a minority of two, for ten seconds')
      .example('$0 fault split n1,n2', 'the same: the others are the other side'),
  async run(context, args) {
    const groups = parseGroups(texts(args, 'groups'), faultGroundOf(context).nodes);
    return inject(context, args, { kind: 'split', groups });
  },
};

const majoritiesRing: Command = {
  command: 'majorities-ring',
  describe: 'Let every node hear a majority, but no two the same one',
  builder: (parser) => lastOptions(parser).example('$0 fault majorities-ring --for 20s', 'with five nodes, best'),
  run: (context, args) => inject(context, args, { kind: 'majorities-ring' }),
};

const oneWay: Command = {
  command: 'one-way <direction..>',
  describe: 'Let nothing through from one node to another; the other direction stays',
  builder: (parser) =>
    lastOptions(parser.positional('direction', { type: 'string', describe: '"n1 -> n2", or n1 n2' })).example(
      '$0 fault one-way "n1 -> n2"',
      'n2 hears nothing of n1, n1 hears n2',
    ),
  async run(context, args) {
    const [from, to] = parseDirection(texts(args, 'direction'));
    return inject(context, args, {
      kind: 'one-way',
      from: await nodeMeant(context, from),
      to: await nodeMeant(context, to),
    });
  },
};

const flaky: Command = {
  command: 'flaky <a> <b>',
  describe: 'Lose and delay what two nodes say to each other',
  builder: (parser) =>
    pairArguments(parser)
      .option('loss', { type: 'string', default: '0%', requiresArg: true, describe: 'Share of packets lost' })
      .option('delay', { type: 'string', default: '0ms', requiresArg: true, describe: '50ms, or 50ms±20ms' })
      .example('$0 fault flaky n1 n2 --loss 20% --delay 50ms±20ms', 'TCP repeats what is lost: it comes late'),
  async run(context, args) {
    const { delayMs, jitterMs } = parseDelay(text(args, 'delay'));
    const lossShare = parseShare(text(args, 'loss'));
    if (delayMs === 0 && lossShare === 0) throw new RingraftError('BAD_REQUEST', 'give --loss, --delay or both');
    return inject(context, args, { kind: 'flaky', nodes: await pairOf(context, args), lossShare, delayMs, jitterMs });
  },
};

const throttle: Command = {
  command: 'throttle <a> <b>',
  describe: 'Let so many bytes a second through between two nodes',
  builder: (parser) =>
    pairArguments(parser)
      .option('rate', { type: 'string', demandOption: true, requiresArg: true, describe: 'In each direction: 64KiB' })
      .example('$0 fault throttle n1 n2 --rate 64KiB', 'a thin line'),
  async run(context, args) {
    const bytesPerSecond = parseRate(text(args, 'rate'));
    return inject(context, args, { kind: 'throttle', nodes: await pairOf(context, args), bytesPerSecond });
  },
};

const reset: Command = {
  command: 'reset <a> <b>',
  describe: 'End the connections between two nodes, once; they connect again',
  builder: (parser) => pairArguments(parser),
  async run(context, args) {
    return inject(context, args, { kind: 'reset', nodes: await pairOf(context, args) });
  },
};

const diskSlow: Command = {
  command: 'disk-slow <node>',
  describe: 'Let every write of a node to its disk take longer',
  builder: (parser) =>
    lastOptions(parser.positional('node', { type: 'string', describe: nodeWords }))
      .option('delay', { type: 'string', default: '200ms', requiresArg: true, describe: 'By so much' })
      .example('$0 fault disk-slow n1 --delay 500ms', 'a disk that is about to fail'),
  async run(context, args) {
    const delayMs = parseDuration(text(args, 'delay'));
    return inject(context, args, { kind: 'disk-slow', node: await nodeMeant(context, text(args, 'node')), delayMs });
  },
};

const clockJump: Command = {
  command: 'clock-jump <node> <offset>',
  describe: 'Set the clock of a node forward or back',
  builder: (parser) =>
    lastOptions(
      parser
        .positional('node', { type: 'string', describe: nodeWords })
        .positional('offset', { type: 'string', describe: '+1h; back: --back 1h' }),
    )
      .option('back', { type: 'boolean', describe: 'Back, by the offset' })
      .example('$0 fault clock-jump n1 +1h --for 30s', 'and back after half a minute')
      .example('$0 fault clock-jump n1 1h --back', 'an hour back'),
  async run(context, args) {
    const offsetMs = parseOffset(text(args, 'offset')) * (flag(args, 'back') ? -1 : 1);
    return inject(context, args, { kind: 'clock-jump', node: await nodeMeant(context, text(args, 'node')), offsetMs });
  },
};

export const faultCommands: readonly Command[] = [
  split,
  ofNode('isolate', 'Cut one node off from all others', [
    'leader-of:7 --for 10s',
    'the leader of shard 7, wherever it is',
  ]),
  ofNode('bridge', 'Split in two halves; one node hears both', [
    'n3',
    'n1,n2 and n4,n5 hear each other through nobody',
  ]),
  majoritiesRing,
  oneWay,
  flaky,
  throttle,
  reset,
  ofNode('slow-consumer', 'Stall what a node is sent, until its nats-server drops it', [
    'n1',
    'while something writes',
  ]),
  ofNode('kill', 'End a node with SIGKILL; healed: started again', ['n2 --for 5s', 'dead for five seconds']),
  ofNode('pause', 'Stop a node with SIGSTOP; healed: it goes on', ['n2 --for 5s', 'as long garbage collection would']),
  ofNode('broker-restart', 'End the nats-server of a node; healed: started again', [
    'n1 --for 2s',
    'away for two seconds',
  ]),
  ofNode('disk-full', 'Let the disk of a node be full', ['n1', 'no new log segment can be made']),
  diskSlow,
  clockJump,
];
