/** Goal: every mistake in a configuration is named, with its path, at once; later sources win over earlier ones. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isRingraftError } from '../../../src/base/index.js';
import { configJsonSchema, type LoadOptions, loadConfig, type Problem } from '../../../src/config/index.js';

const nodes = [{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }];

function load(input: unknown, options: LoadOptions = {}) {
  const path = join(mkdtempSync(join(tmpdir(), 'ringraft-')), 'cluster.config.json');
  writeFileSync(path, typeof input === 'string' ? input : JSON.stringify(input));
  return loadConfig(path, options);
}

function problems(input: unknown, options: LoadOptions = {}): Record<string, string> {
  try {
    load(input, options);
  } catch (error) {
    if (!isRingraftError(error, 'CONFIG')) throw error;
    return Object.fromEntries((error.fields.problems as Problem[]).map(({ path, message }) => [path, message]));
  }
  throw new Error('the configuration was accepted');
}

test('defaults fill what is left out, and the result is frozen', (t) => {
  const config = load({ cluster: 'c', nodes });
  t.like(config, { shards: 16, replication: 3, subjectPrefix: 'kv', buckets: [{ name: 'default', id: 1 }] });
  t.is(config.raft.leaseMs, 150);
  t.throws(() => Object.assign(config.raft, { leaseMs: 1 }));
});

test('every mistake is reported at once, each with its path', (t) => {
  const found = problems({
    cluster: 'Bad Name',
    shards: 0,
    nodes: [{ id: 'n1', wieght: 2 }],
    shard: 4,
    raft: { leaseMs: 'x' },
  });
  t.deepEqual(Object.keys(found).sort(), ['cluster', 'nodes[0].wieght', 'raft.leaseMs', 'shard', 'shards']);
  t.regex(found['nodes[0].wieght'] ?? '', /did you mean weight/);
  t.regex(found.shard ?? '', /did you mean shards/);
  t.regex(found['raft.leaseMs'] ?? '', /found "x"/);
});

test('what no single field can be wrong about is checked too', (t) => {
  t.regex(problems({ cluster: 'c', nodes: [{ id: 'n1' }] }).replication ?? '', /3 replicas need as many nodes/);
  t.regex(problems({ cluster: 'c', nodes: [...nodes, { id: 'n1' }] })['nodes[3].id'] ?? '', /used twice/);
  t.regex(problems({ cluster: 'c', nodes, raft: { leaseMs: 200 } })['raft.leaseMs'] ?? '', /shorter than voteHoldMs/);
});

test('a syntax error has line and column', (t) => {
  const [place] = Object.keys(problems('{\n  "cluster": "c",\n  oops\n}'));
  t.is(place, 'line 3, column 3');
});

test('flags win over the environment, the environment over the file', (t) => {
  const env = { KVD_RAFT__LEASE_MS: '90', KVD_SHARDS: '8', NATS_URL: 'nats://a:1,nats://b:2' };
  const config = load(
    { cluster: 'c', nodes, shards: 4, raft: { leaseMs: 80 } },
    { env, overrides: ['raft.leaseMs=100'] },
  );
  t.is(config.raft.leaseMs, 100);
  t.is(config.shards, 8);
  t.deepEqual(config.nats.servers, ['nats://a:1', 'nats://b:2']);
  t.deepEqual(Object.keys(problems({ cluster: 'c', nodes }, { overrides: ['raft.nonsense=1'] })), ['raft.nonsense']);
});

type Schema = { readonly properties?: Readonly<Record<string, Schema>>; readonly items?: Schema };

const leaves = (schema: Schema, path: string): string[] => {
  if (schema.items?.properties !== undefined) return leaves(schema.items, `${path}[]`);
  if (schema.properties === undefined) return [path];
  return Object.entries(schema.properties).flatMap(([name, inner]) =>
    leaves(inner, path === '' ? name : `${path}.${name}`),
  );
};

test('the shipped JSON Schema and the documentation follow the code', (t) => {
  const schema = configJsonSchema();
  t.deepEqual(JSON.parse(readFileSync('docs/cluster.config.schema.json', 'utf8')), JSON.parse(JSON.stringify(schema)));
  const text = readFileSync('docs/configuration.md', 'utf8');
  for (const path of leaves(schema as Schema, '')) if (path !== '$schema') t.true(text.includes(`\`${path}\``), path);
});

test('the configuration in the repository is sound', (t) => {
  t.is(loadConfig('cluster.config.json').cluster, 'demo');
});
