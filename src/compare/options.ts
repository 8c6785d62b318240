/** The command line of a comparison. */
import { parseArgs } from 'node:util';
import { messageOf, RingraftError } from '../base/index.js';
import { parseCount, parseDuration } from '../cli/index.js';
import { chosenWorkloads, usualOptions } from './catalogue.js';
import { type PeerName, peerNames } from './peer.js';
import type { SessionOptions } from './session.js';

/** What goes through to the session as it is. */
type SessionFlags = Omit<SessionOptions, 'peers' | 'directory' | 'say'>;

export type CompareFlags = SessionFlags & {
  /** Ringraft first, always. */
  readonly peers: readonly PeerName[];
  readonly quick: boolean;
  /** nats-servers that Ringraft's nodes share. */
  readonly brokers: number;
  /** Where data go; undefined: a temporary directory. */
  readonly directory: string | undefined;
  readonly install: boolean;
  /** Writes tables and pictures into docs. */
  readonly docs: boolean;
  /** Shows what an earlier run printed with `-o json`; nothing is measured. */
  readonly from: string | undefined;
  readonly list: boolean;
  readonly json: boolean;
};

export const compareUsage = `npm run bench:compare -- [options]: Ringraft beside what people would take instead, on this machine

  --quick                six workloads, once, under 4 minutes
  --only a,b             workloads or families of them: put, get@256, put@64/4KiB, sizes, ycsb, ycsb-a, batch, shards,
                         keys, matrix (every size with every number in flight), all
  --peers a,b            beside Ringraft: etcd, jetstream, jetstream-sync   [default: all of them]
  --repeats N            interleaved; medians are shown                      [default: 3; quick: 1]
  --seconds S            of each measurement                                 [default: 5; quick: 2]
  --warmup S             before each                                         [default: 1; quick: 0.5]
  --settle S             once for each cluster, before its first measurement [default: 10; quick: 2]
  --shards N             of Ringraft                                         [default: 16]
  --brokers N            nats-servers of Ringraft: 3 are a cluster           [default: 1]
  --records N            keys of most workloads                              [default: 100000]
  --many-keys N          keys of the family \`keys\`                           [default: 1000000]
  --client-processes N   at most; one more is tried when they are busy       [default: 2]
  --directory DIR        where data go: on the disk to be measured           [default: a temporary one]
  --keep                 leave data and logs behind
  --install              install what is missing with apt
  --list                 show all workloads and end
  --docs                 write tables and pictures into docs/benchmarks.md
  --from FILE            show what an earlier run printed with -o json, measure nothing
  -o json, --json        the result as one object on standard output

A system that is not installed is left out with a note. Ctrl-C stops, and shows what was measured until then.
Exit codes: 0 measured; 1 something failed; 2 usage; 130 interrupted.
`;

/** BAD_REQUEST with a line a person can use; undefined: only asked how it is used. */
export function parseCompareFlags(args: readonly string[]): CompareFlags | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const { output } = values;
  if (output !== undefined && output !== 'json' && output !== 'table')
    throw wrong(`-o is json or table, not ${output}`);
  const quick = values.quick === true;
  const count = (
    name: 'repeats' | 'shards' | 'brokers' | 'records' | 'many-keys' | 'client-processes',
    usual: number,
  ): number => parseCount(values[name] ?? String(usual), `--${name}`, 1);
  const seconds = parseDuration(values.seconds ?? (quick ? '2' : '5')) / 1000;
  const warmupSeconds = parseDuration(values.warmup ?? (quick ? '0.5' : '1'), 0) / 1000;
  const settleSeconds = parseDuration(values.settle ?? (quick ? '2' : '10'), 0) / 1000;
  const sizes = {
    records: count('records', usualOptions.records),
    manyKeys: count('many-keys', usualOptions.manyKeys),
  };
  return {
    workloads: chosenWorkloads(listOf(values.only, '--only'), quick, sizes),
    peers: peersOf(listOf(values.peers, '--peers')),
    quick,
    repeats: count('repeats', quick ? 1 : 3),
    seconds,
    warmupSeconds,
    settleSeconds,
    trialSeconds: Math.min(seconds, quick ? 1 : 2),
    mostProcesses: count('client-processes', 2),
    shards: count('shards', 16),
    brokers: count('brokers', 1),
    directory: values.directory,
    keep: values.keep === true,
    install: values.install === true,
    docs: values.docs === true,
    from: values.from,
    list: values.list === true,
    json: values.json === true || output === 'json',
  };
}

const wrong = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

function listOf(text: string | undefined, option: string): readonly string[] | undefined {
  const words = text?.split(',').map((word) => word.trim());
  if (words?.some((word) => word === ''))
    throw wrong(`${option}: names with commas between them, not ${JSON.stringify(text)}`);
  return words;
}

function peersOf(names: readonly string[] | undefined): readonly PeerName[] {
  for (const name of names ?? []) {
    if (!(peerNames as readonly string[]).includes(name)) {
      throw wrong(`--peers: there is no ${name}; there are ${peerNames.slice(1).join(', ')}`);
    }
  }
  return peerNames.filter((name) => name === 'ringraft' || names === undefined || names.includes(name));
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: flag,
        only: text,
        peers: text,
        repeats: text,
        seconds: text,
        warmup: text,
        settle: text,
        shards: text,
        brokers: text,
        records: text,
        'many-keys': text,
        'client-processes': text,
        directory: text,
        keep: flag,
        install: flag,
        docs: flag,
        from: text,
        list: flag,
        output: { type: 'string', short: 'o' },
        json: flag,
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', messageOf(cause), { cause });
  }
}
