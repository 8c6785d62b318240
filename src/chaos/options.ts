/** The command line of a chaos run. */
import { parseArgs } from 'node:util';
import { messageOf, RingraftError } from '../base/index.js';
import { type Backend, backends, parseCount, parseDuration } from '../cli/index.js';
import { type FaultKind, faultKinds } from '../faults/index.js';
import { type WorkloadName, workloadNames } from './operation.js';

export type ChaosFlags = {
  readonly seconds: number;
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  readonly workloads: readonly WorkloadName[];
  readonly nodes: number;
  readonly replication: number;
  readonly shards: number;
  readonly backend: Backend;
  /** Probe writes a second, of each client to each shard: times of availability are as fine. */
  readonly probeRate: number;
  /** undefined: a temporary one, kept when something was found. */
  readonly directory: string | undefined;
  readonly keep: boolean;
  readonly json: boolean;
  readonly broken: string | undefined;
};

export const chaosUsage = `npm run chaos -- [options]: breaks a real cluster while clients work on it, and checks what they saw

  --seconds S       how long, without start and last reading     [default: 120]
  --seed N          of faults and workloads                      [default: a random one, printed]
  --faults a,b      only these: ${wrapped(faultKinds)}
  --workloads a,b   only these: ${wrapped(workloadNames)}
  --nodes N         nodes, each with a nats-server of its own    [default: 5]
  --replication N   replicas of a shard: 1, 3 or 5               [default: 3]
  --shards N        shards                                       [default: 16]
  --backend B       proxy, or netns (root)                       [default: proxy]
  --probe-rate N    probe writes a second, client and shard      [default: 3]
  --directory DIR   where history and pictures go                [default: a temporary one]
  --keep            leave the directory, data and logs behind
  --broken NAME     run builds of kvd that are broken on purpose: read-without-quorum, acknowledge-after-one, no-dedupe
  -o json, --json   the result as one object on standard output

Exit codes: 0 all checks held; 1 a violation, a fault that could not be shown, or one that proved nothing; 2 usage;
130 interrupted.
`;

function wrapped(words: readonly string[]): string {
  const lines: string[] = [''];
  for (const word of words) {
    if ((lines.at(-1) as string).length + word.length > 70) lines.push('');
    lines[lines.length - 1] += `${word}, `;
  }
  return lines
    .join(`\n${' '.repeat(20)}`)
    .replace(/, $/, '')
    .trimEnd();
}

/** BAD_REQUEST with a line a person can use; undefined: only asked how it is used. */
export function parseChaosFlags(args: readonly string[], randomSeed: () => number): ChaosFlags | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const output = values.output;
  if (output !== undefined && output !== 'json' && output !== 'table')
    throw wrong(`-o is json or table, not ${output}`);
  const backend = values.backend ?? 'proxy';
  if (!isOneOf(backends, backend)) throw wrong(`--backend is ${backends.join(' or ')}, not ${backend}`);
  const nodes = parseCount(values.nodes ?? '5', '--nodes', 3);
  const replication = parseCount(values.replication ?? '3', '--replication', 1);
  if (![1, 3, 5].includes(replication) || replication > nodes) {
    throw wrong(`--replication is 1, 3 or 5 and at most the number of nodes, not ${replication}`);
  }
  return {
    seconds: parseDuration(values.seconds ?? '120') / 1000,
    seed: values.seed === undefined ? randomSeed() : parseCount(values.seed, '--seed', 0),
    kinds: listOf(faultKinds, values.faults, '--faults'),
    workloads: listOf(workloadNames, values.workloads, '--workloads'),
    nodes,
    replication,
    shards: parseCount(values.shards ?? '16', '--shards', 1),
    backend,
    probeRate: parseCount(values['probe-rate'] ?? '3', '--probe-rate', 1),
    directory: values.directory,
    keep: values.keep === true,
    json: values.json === true || output === 'json',
    broken: values.broken,
  };
}

const wrong = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

const isOneOf = <T extends string>(names: readonly T[], name: string): name is T =>
  (names as readonly string[]).includes(name);

function listOf<T extends string>(known: readonly T[], given: string | undefined, option: string): readonly T[] {
  if (given === undefined) return known;
  const names = given.split(',').map((name) => name.trim());
  return names.map((name) => {
    if (!isOneOf(known, name)) throw wrong(`${option}: there is no ${name}; there are ${known.join(', ')}`);
    return name;
  });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string' },
        seed: { type: 'string' },
        faults: { type: 'string' },
        workloads: { type: 'string' },
        nodes: { type: 'string' },
        replication: { type: 'string' },
        shards: { type: 'string' },
        backend: { type: 'string' },
        'probe-rate': { type: 'string' },
        directory: { type: 'string' },
        keep: { type: 'boolean' },
        broken: { type: 'string' },
        output: { type: 'string', short: 'o' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', messageOf(cause), { cause });
  }
}
