/** The shape of cluster.config.json, with defaults. docs/configuration.md and the JSON Schema follow it. */
import { z } from 'zod';

const token = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'lower-case letters, digits, - and _, beginning with a letter or digit')
  .describe('A name that can stand in a NATS subject');
const positive = z.int().min(1);
const milliseconds = z.int().min(1).max(600_000);
const count = z.int().min(0);

const nats = z
  .strictObject({
    servers: z.array(z.string().min(1)).min(1).default(['nats://127.0.0.1:4222']).describe('NATS servers, any of them'),
    user: z.string().optional(),
    password: z.string().optional(),
    token: z.string().optional(),
    credentialsFile: z.string().optional().describe('NATS credentials file'),
    nkeySeedFile: z.string().optional().describe('File with the seed of an nkey user'),
    inboxPrefix: z
      .string()
      .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'tokens of letters, digits, - and _, with dots between them')
      .optional()
      .describe('First tokens of the subjects on which answers are awaited'),
    tls: z
      .strictObject({
        caFile: z.string().optional(),
        certFile: z.string().optional(),
        keyFile: z.string().optional(),
      })
      .optional(),
  })
  .prefault({})
  .describe('How to reach NATS');

const node = z.strictObject({
  id: token,
  zone: token.default('default').describe('Replicas of a shard are spread over zones'),
  weight: z.number().positive().max(1000).default(1).describe('Share of replicas in proportion to others'),
});

const bucket = z.strictObject({
  name: token,
  id: z.int().min(1).max(65_535).describe('Stands in every stored key: never change it'),
  mode: z
    .enum(['consistent', 'available'])
    .default('consistent')
    .describe('What goes before when they cannot go together'),
  defaultLevel: z
    .enum(['linearizable', 'lease', 'quorum', 'one'])
    .default('linearizable')
    .describe('Of reads that ask for no level'),
  ttlMs: count.max(316_224_000_000).default(0).describe('Of values written without a time to live; 0: they stay'),
  maxValueBytes: count.max(900_000).default(0).describe('Most bytes of a value; 0: the limit of the node'),
  cacheShare: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('Fraction of the cache of values that is its own; 0: it shares the common one'),
});

const raft = z
  .strictObject({
    electionTimeoutMs: milliseconds.default(1000),
    heartbeatIntervalMs: milliseconds.default(50),
    voteHoldMs: milliseconds.default(150),
    leaseMs: milliseconds.default(110),
    maxAppendBytes: positive.max(900_000).default(262_144),
    maxInflightAppends: positive.max(4096).default(64),
    maxUncommittedBytes: positive.default(16_777_216),
    quiesceAfterMs: milliseconds
      .default(1000)
      .describe('A group that was asked nothing for so long stops its heartbeats and timers'),
  })
  .prefault({})
  .describe('Consensus; the defaults suit one data centre');

const management = z
  .strictObject({
    downAfterMs: z
      .int()
      .min(1000)
      .max(86_400_000)
      .default(60_000)
      .describe('A node that is gone for so long is replaced'),
    maxMoves: positive.max(256).default(2).describe('Replicas that are moved at the same time'),
    snapshotBytesPerSecond: z
      .int()
      .min(65_536)
      .default(33_554_432)
      .describe('What one node sends of snapshots, at most'),
    leaderZones: z.array(token).default([]).describe('Zones that leaders should be in, the most wanted first'),
    rebalance: z.boolean().default(true).describe('Whether replicas are moved for the sake of balance'),
  })
  .prefault({})
  .describe('How the cluster manages itself: what it begins with; `kvctl cluster set` changes it');

const limits = z
  .strictObject({
    maxKeyBytes: positive.max(65_535).default(4096),
    maxValueBytes: positive.max(900_000).default(524_288),
    maxInflightOperations: positive.default(16_384),
  })
  .prefault({})
  .describe('What a node refuses beyond');

const shape = z.strictObject({
  $schema: z.string().optional(),
  cluster: token.describe('Name of the cluster; part of its NATS subjects'),
  nats,
  subjectPrefix: token.default('kv').describe('First token of the public subjects'),
  shards: z.int().min(1).max(4096).default(16).describe('Number of shards; fixed once there are data'),
  replication: z.literal([1, 3, 5]).default(3).describe('Replicas of every shard'),
  nodes: z.array(node).min(1),
  buckets: z
    .array(bucket)
    .min(1)
    .max(1000)
    .prefault([{ name: 'default', id: 1 }])
    .describe('The buckets the cluster begins with; `kvctl bucket` creates, changes and removes them'),
  dataDirectory: z.string().min(1).default('.ringraft/data').describe('Each node uses <dataDirectory>/<node id>'),
  engine: z
    .strictObject({
      type: z.enum(['rocksdb', 'classic-level']).default('rocksdb'),
      cacheBytes: count
        .default(33_554_432)
        .describe('Keys and values kept in memory, those that wait for the engine among them'),
    })
    .prefault({}),
  wal: z.strictObject({ segmentBytes: z.int().min(65_536).default(16_777_216) }).prefault({}),
  management,
  limits,
  raft,
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
});

type Shape = z.infer<typeof shape>;
type Issue = (message: string, path: (string | number)[]) => void;

function checkDuplicates(
  values: readonly (string | number)[],
  path: (at: number) => (string | number)[],
  issue: Issue,
): void {
  values.forEach((value, at) => {
    if (values.indexOf(value) < at) issue(`${JSON.stringify(value)} is used twice`, path(at));
  });
}

/** What no single field can be wrong about. */
function crossCheck(config: Shape, issue: Issue): void {
  const { raft: times, nodes, buckets, replication } = config;
  if (replication > nodes.length) {
    issue(`${replication} replicas need as many nodes, there are ${nodes.length}`, ['replication']);
  }
  checkDuplicates(
    nodes.map(({ id }) => id),
    (at) => ['nodes', at, 'id'],
    issue,
  );
  checkDuplicates(
    buckets.map(({ name }) => name),
    (at) => ['buckets', at, 'name'],
    issue,
  );
  checkDuplicates(
    buckets.map(({ id }) => id),
    (at) => ['buckets', at, 'id'],
    issue,
  );
  if (times.leaseMs >= times.voteHoldMs) {
    issue('a lease must be shorter than voteHoldMs, by the drift of clocks to be tolerated', ['raft', 'leaseMs']);
  }
  if (times.heartbeatIntervalMs * 2 > times.voteHoldMs) {
    issue('two heartbeats must fit into voteHoldMs', ['raft', 'heartbeatIntervalMs']);
  }
  if (times.electionTimeoutMs < times.voteHoldMs * 2) {
    issue('must be at least twice voteHoldMs', ['raft', 'electionTimeoutMs']);
  }
}

export const configSchema = shape.superRefine((config, context) => {
  crossCheck(config, (message, path) => context.addIssue({ code: 'custom', message, path }));
});

export type ConfigShape = Shape;

/** The JSON Schema that editors use. */
export const configJsonSchema = (): object => z.toJSONSchema(shape, { io: 'input', target: 'draft-7' });
