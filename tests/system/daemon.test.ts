/** Goal: kvd refuses what it must refuse, says why in words a person can use, and stops cleanly. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { kvdPath, runProgram, TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

t.test('a configuration with mistakes is refused with every mistake named', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'cluster.config.json');
  writeFileSync(
    path,
    JSON.stringify({ cluster: 'Bad Name', shards: 0, nodes: [{ id: 'n1' }], replication: 3, shard: 4 }),
  );
  const { code, stderr, stdout } = await runProgram(kvdPath, ['--config', path, '--node', 'n1']);
  t.equal(code, 2);
  const said = stderr + stdout.toString();
  for (const mistake of ['cluster', 'shards', 'replication', 'shard']) t.match(said, mistake);
});

t.test('an unknown node, a missing flag and a missing file are usage errors', async (t) => {
  const cluster = await TestCluster.start({ nodes: 1, shards: 1 });
  t.teardown(() => cluster.stop());
  const unknown = await runProgram(kvdPath, ['--config', cluster.configPath, '--node', 'n9']);
  t.equal(unknown.code, 2);
  t.match(unknown.stderr, /n9.*n1/s);
  t.equal((await runProgram(kvdPath, ['--config', cluster.configPath])).code, 2);
  t.equal((await runProgram(kvdPath, ['--config', '/nowhere.json', '--node', 'n1'])).code, 2);
  t.equal((await runProgram(kvdPath, ['--wrong'])).code, 2);
});

t.test('a data directory in use, or of another node, is refused', async (t) => {
  const cluster = await TestCluster.start({ nodes: 3, shards: 2 });
  t.teardown(() => cluster.stop());
  const args = ['--config', cluster.configPath, '--log-format', 'json'];
  const second = await runProgram(kvdPath, [...args, '--node', 'n1']);
  t.equal(second.code, 3, 'another process holds it');
  t.match(second.stdout.toString() + second.stderr, 'LOCKED');
  const data = join(cluster.directory, 'data', 'n1');
  const foreign = await runProgram(kvdPath, [...args, '--node', 'n2', '--data', data]);
  t.equal(foreign.code, 3, 'it belongs to another node');
  t.match(foreign.stdout.toString() + foreign.stderr, /belongs to node n1/);
  await cluster.signal('n1', 'SIGTERM');
  const reshaped = await runProgram(kvdPath, [...args, '--node', 'n1', '--set', 'shards=5']);
  t.equal(reshaped.code, 2, 'data that were placed otherwise');
  t.match(reshaped.stdout.toString() + reshaped.stderr, /shards: founded with 2, the configuration says 5/);
  t.match(JSON.parse(readFileSync(join(data, 'identity.json'), 'utf8')), { nodeId: 'n1' });
});

t.test('NATS out of reach is one clear error', async (t) => {
  const cluster = await TestCluster.start({ nodes: 1, shards: 1 });
  t.teardown(() => cluster.stop());
  await cluster.signal('n1', 'SIGTERM');
  const args = ['--config', cluster.configPath, '--node', 'n1', '--nats', 'nats://127.0.0.1:1', '--log-format', 'json'];
  const { code, stdout } = await runProgram(kvdPath, args);
  t.equal(code, 1);
  t.match(stdout.toString(), 'UNREACHABLE');
  t.match(stdout.toString(), '127.0.0.1:1');
});
