/** Goal: every mistake of a configuration is told at once, each with its path, in words a person can act on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isRingraftError } from '../../../src/base/index.js';
import { closest, loadConfig, type Problem } from '../../../src/config/index.js';

const directory = mkdtempSync(join(tmpdir(), 'ringraft-config-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;

function problemsIn(text: string): readonly string[] {
  const path = join(directory, `${files++}.json`);
  writeFileSync(path, text);
  try {
    loadConfig(path);
  } catch (error) {
    if (!isRingraftError(error, 'CONFIG')) throw error;
    const problems = error.fields.problems as readonly Problem[];
    for (const { path: at, message } of problems) if (!error.message.includes(`  ${at}: ${message}`)) throw error;
    return problems.map(({ path: at, message }) => `${at}: ${message}`);
  }
  return [];
}

const nodes = [{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }];
const good = { cluster: 'c', nodes };
const problems = (changes: object): readonly string[] => problemsIn(JSON.stringify({ ...good, ...changes }));

test('the smallest configuration has no mistake', (t) => {
  t.deepEqual(problems({}), []);
});

test('several mistakes come together', (t) => {
  t.deepEqual(
    problems({ cluster: 'Not A Token', shards: 0, replication: 2, engine: { type: 'mysql' }, nodes: [{ zone: 'a' }] }),
    [
      'cluster: lower-case letters, digits, - and _, beginning with a letter or digit; found "Not A Token"',
      'shards: Too small: expected number to be >=1; found 0',
      'replication: expected one of 1|3|5; found 2',
      'nodes[0].id: expected string; it is missing',
      'engine.type: expected one of "rocksdb"|"classic-level"; found "mysql"',
    ],
  );
});

test('an unknown setting is named, with what may have been meant', (t) => {
  t.deepEqual(
    problems({ shard: 4, raft: { leaseMS: 100 }, nodes: [{ id: 'n1', wieght: 2 }, { id: 'n2' }, { id: 'n3' }] }),
    [
      'nodes[0].wieght: unknown setting; did you mean weight?',
      'raft.leaseMS: unknown setting; did you mean leaseMs?',
      'shard: unknown setting; did you mean shards?',
    ],
  );
  t.deepEqual(problems({ colour: 'blue' }), ['colour: unknown setting']);
});

test('what only fields together can be wrong about is found', (t) => {
  t.deepEqual(problems({ replication: 5 }), ['replication: 5 replicas need as many nodes, there are 3; found 5']);
  t.deepEqual(problems({ nodes: [...nodes, { id: 'n1' }] }), ['nodes[3].id: "n1" is used twice; found "n1"']);
  const buckets = [
    { name: 'a', id: 1 },
    { name: 'a', id: 1 },
  ];
  t.deepEqual(problems({ buckets }), [
    'buckets[1].name: "a" is used twice; found "a"',
    'buckets[1].id: 1 is used twice; found 1',
  ]);
  t.deepEqual(problems({ raft: { leaseMs: 200, heartbeatIntervalMs: 150, electionTimeoutMs: 250 } }), [
    'raft.leaseMs: a lease must be shorter than voteHoldMs, by the drift of clocks to be tolerated; found 200',
    'raft.heartbeatIntervalMs: two heartbeats must fit into voteHoldMs; found 150',
    'raft.electionTimeoutMs: must be at least twice voteHoldMs; found 250',
  ]);
});

test('broken JSON is told with line and column', (t) => {
  const cases: readonly (readonly [string, number, number])[] = [
    ['{\n  "cluster": "c",\n  "nodes": [,]\n}', 3, 13],
    ['{\n  "cluster": "c"\n', 3, 1],
    ['', 1, 1],
    ['{"a": 1,}', 1, 9],
    ['{"a": [1, 2,]}', 1, 13],
    ['{"a" 1}', 1, 6],
    ["{'a': 1}", 1, 2],
    ['{"a": 01}', 1, 8],
    ['{"a": 1}\n}', 2, 1],
    ['{"a": "x\ny"}', 1, 7],
    ['{\n  // no comments\n}', 2, 3],
    ['{"a": tru}', 1, 7],
    [`{"a": "${'long '.repeat(50)}",\n "b" }`, 2, 6],
  ];
  for (const [text, line, column] of cases) {
    const [problem = '', ...others] = problemsIn(text);
    t.regex(problem, new RegExp(`^line ${line}, column ${column}: not JSON: [^\n]+$`), text);
    t.deepEqual(others, []);
  }
});

test('a file that is no object, or not there, is told', (t) => {
  for (const text of ['[]', 'null', '7', '"x"']) t.deepEqual(problemsIn(text), ['(the file): must be a JSON object']);
  t.throws(() => loadConfig(join(directory, 'none.json')), { message: /cannot read the configuration .*none.json/ });
});

test('suggestions are close words only', (t) => {
  t.is(closest('sherds', ['shards', 'nodes']), 'shards');
  t.is(closest('xyzzy', ['shards', 'nodes']), undefined);
  t.is(closest('x', []), undefined);
});
