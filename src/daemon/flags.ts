/** kvd's command line. Few flags; everything else stands in the configuration file. */
import { parseArgs } from 'node:util';
import { messageOf, RingraftError } from '../base/index.js';

export type DaemonFlags = {
  /** undefined: none was given. */
  readonly config: string | undefined;
  readonly node: string;
  /** Becomes part of a cluster that exists; undefined: a node of the configuration. */
  readonly join: JoinFlags | undefined;
  readonly nats: readonly string[] | undefined;
  readonly data: string | undefined;
  readonly set: readonly string[];
  /** What goes wrong on this node is read from this file; undefined: nothing does. */
  readonly faults: string | undefined;
  readonly logLevel: string | undefined;
  readonly logFormat: 'pretty' | 'json' | undefined;
};

export type JoinFlags = { readonly cluster: string; readonly zone: string; readonly weight: number };

export const daemonUsage = `kvd - one node of a Ringraft cluster

Usage: kvd --node ID [options]
       kvd --join --cluster NAME --node ID [--zone ZONE] [--weight W] [options]

  --node ID           which node of the configuration this is (or KVD_NODE); with --join any name not yet used
  --join              become part of a cluster that exists: it needs its name and NATS, no configuration file
  --cluster NAME      name of the cluster to join (or KVD_CLUSTER)
  --zone ZONE         where this node stands: replicas are spread over zones     [default: default]
  --weight W          share of replicas in proportion to other nodes             [default: 1]
  --config FILE       configuration file            [default: cluster.config.json, or KVD_CONFIG; none with --join]
  --nats URL[,URL]    NATS servers, instead of those in the file (or NATS_URL)
  --data DIRECTORY    this node's own data directory [default: <dataDirectory>/<node id>]
  --set PATH=VALUE    one setting, e.g. raft.leaseMs=100 (repeatable)
  --log-level LEVEL   debug, info, warn or error
  --log-format FORMAT pretty or json                [default: pretty on a terminal]
  --faults FILE       for test clusters: does itself the harm the file says, and tells so in FILE.seen
  --version, --help

SIGTERM or Ctrl-C: hands leaderships over, answers what is in flight, stops. A second one stops at once.
Exit codes: 0 stopped as asked, 1 error, 2 usage or configuration, 3 the data directory is taken.
`;

/** Throws CONFIG with a line a person can use. */
export function parseDaemonFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DaemonFlags | 'help' | 'version' {
  const { values } = parse(args);
  if (values.help) return 'help';
  if (values.version) return 'version';
  const node = values.node ?? env.KVD_NODE;
  if (node === undefined)
    throw new RingraftError('CONFIG', '--node is missing: which node of the configuration is this?');
  const join = values.join === true ? joinFlags(values, env) : undefined;
  const idle = (['cluster', 'zone', 'weight'] as const).find((name) => values[name] !== undefined);
  if (join === undefined && idle !== undefined)
    throw new RingraftError(
      'CONFIG',
      `--${idle} goes with --join; without it the configuration says what this node is`,
    );
  const logFormat = values['log-format'];
  if (logFormat !== undefined && logFormat !== 'pretty' && logFormat !== 'json') {
    throw new RingraftError('CONFIG', `--log-format is pretty or json, not ${logFormat}`);
  }
  return {
    config: values.config ?? env.KVD_CONFIG,
    node,
    join,
    nats: (values.nats ?? env.NATS_URL)?.split(',').map((url) => url.trim()),
    data: values.data,
    set: values.set ?? [],
    faults: values.faults,
    logLevel: values['log-level'],
    logFormat,
  };
}

function joinFlags(
  values: {
    readonly cluster?: string | undefined;
    readonly zone?: string | undefined;
    readonly weight?: string | undefined;
  },
  env: Readonly<Record<string, string | undefined>>,
): JoinFlags {
  const cluster = values.cluster ?? env.KVD_CLUSTER;
  if (cluster === undefined)
    throw new RingraftError('CONFIG', '--join needs --cluster: the name of the cluster to join');
  const weight = Number(values.weight ?? '1');
  if (!(weight > 0)) throw new RingraftError('CONFIG', `--weight is a number above 0, not ${values.weight}`);
  return { cluster, zone: values.zone ?? 'default', weight };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        node: { type: 'string' },
        join: { type: 'boolean' },
        cluster: { type: 'string' },
        zone: { type: 'string' },
        weight: { type: 'string' },
        config: { type: 'string' },
        nats: { type: 'string' },
        data: { type: 'string' },
        set: { type: 'string', multiple: true },
        faults: { type: 'string' },
        'log-level': { type: 'string' },
        'log-format': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new RingraftError('CONFIG', messageOf(cause), { cause });
  }
}
