/** Goal: kvctl against a real cluster: what it prints, what it exits with, bytes that survive, a local cluster that starts and stops. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kvctlPath, runProgram, TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

t.test('every exit code means what is documented', async (t) => {
  const cluster = await TestCluster.start({ shards: 4 });
  t.teardown(() => cluster.stop());
  const exit = async (...args: string[]): Promise<number | null> => (await cluster.kvctl(args)).code;
  t.equal(await exit('put', 'k', 'v'), 0);
  t.equal((await cluster.kvctl(['get', 'k'])).stdout.toString(), 'v');
  t.equal(await exit('get', 'missing'), 3);
  t.equal(await exit('del', 'missing'), 3);
  t.equal(await exit('cas', 'k', 'wrong', 'new'), 4);
  t.equal(await exit('cas', 'k', 'v', 'new'), 0);
  t.equal(await exit('get'), 2);
  t.equal(await exit('nonsense'), 2);
  t.equal(await exit('get', 'k', '--nonsense'), 2);
  t.equal(
    (await runProgram(kvctlPath, ['--server', 'nats://127.0.0.1:1', '--cluster', 'test', '-t', '300ms', 'get', 'k']))
      .code,
    1,
  );

  await cluster.signal('n2', 'SIGKILL');
  await cluster.signal('n3', 'SIGKILL');
  t.equal(await exit('-t', '4s', 'get', 'k'), 5, 'one of three nodes: no quorum, and a read certainly did not happen');
  const write = await cluster.kvctl(['-t', '4s', 'put', 'k', 'x', '-o', 'json']);
  t.ok(write.code === 5 || write.code === 6, 'a write is refused, or its outcome is unknown');
  t.match(JSON.parse(write.stderr), { error: { happened: write.code === 6 ? 'unknown' : 'no' } });
});

t.test(
  'shard ls, info, transfer-leader and node ls tell what is so, with a node down and without a quorum',
  async (t) => {
    const cluster = await TestCluster.start({ shards: 4 });
    t.teardown(() => cluster.stop());
    const jsonOf = async (...args: string[]) =>
      JSON.parse((await cluster.kvctl([...args, '-o', 'json'])).stdout.toString());
    t.equal((await cluster.kvctl(['put', 'k', 'v'])).code, 0);
    type Row = { readonly leader: string | null; readonly replicas: readonly unknown[] };
    const list = async (): Promise<Row[]> => (await jsonOf('shard', 'ls')).shards;
    // Just started, leaders are still moving home.
    let shards = await list();
    for (let tries = 0; shards.some(({ leader }) => leader === null) && tries < 40; tries++) shards = await list();
    t.equal(shards.length, 4);
    t.ok(shards.every(({ leader, replicas }) => leader !== null && replicas.length === 3));
    t.match(
      (await cluster.kvctl(['shard', 'ls', '--node', 'n2'])).stdout.toString(),
      /^SHARD .*\n +0 {2}system .*\n +1 {2}00000000-3fffffff/,
    );
    t.equal((await cluster.kvctl(['shard', 'ls', '--node', 'n9'])).code, 2);

    const { preferred } = await jsonOf('shard', 'info', '3');
    const other = cluster.nodeIds.find((id) => id !== preferred) as string;
    const moved = await jsonOf('shard', 'transfer-leader', '3', '--to', other, '-t', '10s');
    t.match(moved, { shard: 3, leader: other });
    t.ok(moved.tookMs >= 0);
    const { nodes } = await jsonOf('shard', 'info', '3');
    t.strictSame(
      nodes.map(({ state, replica }: { state: string; replica: { detail: { voters: number[] } } }) => [
        state,
        replica.detail.voters.length,
      ]),
      cluster.nodeIds.map(() => ['up', 3]),
    );
    for (const command of ['info', 'transfer-leader']) {
      const args = command === 'info' ? ['99'] : ['99', '--to', 'n1'];
      const { code, stderr } = await cluster.kvctl(['shard', command, ...args]);
      t.equal(code, 1);
      t.match(stderr, 'WRONG_SHARD');
    }
    t.equal((await cluster.kvctl(['shard', 'transfer-leader', '3'])).code, 2);

    const all = await jsonOf('node', 'ls');
    t.match(all, { nodes: cluster.nodeIds.map((id) => ({ id, state: 'up', replicas: 5 })) });
    t.ok(all.nodes.every(({ heardBy }: { heardBy: unknown[] }) => heardBy.length === 2));
    await cluster.signal('n3', 'SIGKILL');
    t.match(await jsonOf('node', 'ls'), { nodes: [{ state: 'up' }, { state: 'up' }, { id: 'n3', state: 'down' }] });
    t.match((await cluster.kvctl(['shard', 'info', '3'])).stdout.toString(), 'warning: n3 is down');
    const gone = await cluster.kvctl(['shard', 'transfer-leader', '3', '--to', 'n3']);
    t.equal(gone.code, 1, 'who is not there cannot lead');
    t.match(gone.stderr, 'UNREACHABLE');

    await cluster.signal('n2', 'SIGKILL');
    // A leader that is left alone goes with its next check of the quorum.
    let left = await cluster.kvctl(['shard', 'info', '3']);
    for (let tries = 0; left.code === 0 && tries < 40; tries++) left = await cluster.kvctl(['shard', 'info', '3']);
    t.equal(left.code, 5, 'nobody leads');
    t.match(left.stdout.toString(), 'warning: no majority: 1 of 3 voters there');
    const alone = await cluster.kvctl(['shard', 'transfer-leader', '3', '--to', 'n1', '-t', '3s']);
    t.equal(alone.code, 5, alone.stderr);
  },
);

t.test('NATS that refuses the user is exit code 7', async (t) => {
  const { startNatsServer } = await import('../support/nats-server.js');
  const nats = await startNatsServer('authorization { user: admin, password: secret }');
  t.teardown(() => nats.stop());
  const { code, stderr } = await runProgram(kvctlPath, ['--server', nats.url, '--cluster', 'test', 'get', 'k']);
  t.equal(code, 7);
  t.match(stderr, 'DENIED');
});

t.test('bytes survive: values, keys, export and import', async (t) => {
  const cluster = await TestCluster.start({ shards: 4 });
  t.teardown(() => cluster.stop());
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  const path = join(cluster.directory, 'bytes');
  writeFileSync(path, bytes);
  t.equal((await cluster.kvctl(['put', 'file', '--from-file', path])).code, 0);
  t.same((await cluster.kvctl(['get', 'file'])).stdout, bytes);
  t.equal((await cluster.kvctl(['put', 'stdin'], { input: bytes })).code, 0);
  t.same((await cluster.kvctl(['get', 'stdin'])).stdout, bytes);
  t.equal((await cluster.kvctl(['put', '--key-encoding', 'hex', '00ff', 'binary key'])).code, 0);
  t.equal((await cluster.kvctl(['put', 'n', '--', '-5'])).code, 0);
  t.equal((await cluster.kvctl(['get', 'n'])).stdout.toString(), '-5');

  for (const name of ['all.ndjson', 'all.csv']) {
    const exported = join(cluster.directory, name);
    t.equal((await cluster.kvctl(['export', exported])).code, 0);
    t.equal((await cluster.kvctl(['-b', 'other', 'import', exported])).code, 0);
    t.same((await cluster.kvctl(['-b', 'other', 'get', 'file'])).stdout, bytes, name);
    const again = join(cluster.directory, `again-${name}`);
    t.equal((await cluster.kvctl(['-b', 'other', 'export', again])).code, 0);
    t.equal(readFileSync(again, 'utf8'), readFileSync(exported, 'utf8'), `${name} is the same again`);
  }
  const bad = await cluster.kvctl(['import'], { input: '{"key":"a","value":"b"}\nnot json\n' });
  t.equal(bad.code, 2);
  t.match(bad.stderr, /line 2/);
});

t.test('up, status and down: a local cluster from a directory with a space', async (t) => {
  const cluster = await TestCluster.start({ nodes: 1, shards: 1 });
  t.teardown(() => cluster.stop());
  const args = ['--config', cluster.configPath, '--state-dir', join(cluster.directory, 'local state')];
  t.teardown(() => runProgram(kvctlPath, [...args, 'down']));
  const up = await runProgram(kvctlPath, [...args, 'up', '--nodes', '3', '--shards', '4']);
  t.equal(up.code, 0, up.stderr);
  t.match(up.stdout.toString(), /^nats:\/\/127\.0\.0\.1:\d+\n$/);
  t.equal((await runProgram(kvctlPath, [...args, 'up'])).code, 0, 'up again says that it runs');
  t.equal((await runProgram(kvctlPath, [...args, 'put', 'k', 'v'])).code, 0, 'the local cluster is found');
  const status = await runProgram(kvctlPath, [...args, 'status', '-o', 'json']);
  t.equal(status.code, 0);
  t.match(JSON.parse(status.stdout.toString()), { healthy: true, nodes: [{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }] });
  const listed = async (): Promise<string[]> => {
    const { stdout } = await runProgram(kvctlPath, [...args, 'node', 'ls', '-o', 'json']);
    return JSON.parse(stdout.toString()).nodes.map(({ id, state }: { id: string; state: string }) => `${id} ${state}`);
  };
  const stopped = await runProgram(kvctlPath, [...args, 'node', 'stop', 'n2']);
  t.equal(stopped.code, 0, stopped.stderr);
  t.equal((await runProgram(kvctlPath, [...args, 'node', 'stop', 'n3', '--kill'])).code, 0);
  t.same(await listed(), ['n1 up', 'n2 down', 'n3 down']);
  const started = await runProgram(kvctlPath, [...args, 'node', 'start', 'n2']);
  t.equal(started.code, 0, started.stderr);
  t.same(await listed(), ['n1 up', 'n2 up', 'n3 down']);
  const revived = await runProgram(kvctlPath, [...args, 'up']);
  t.equal(revived.code, 0, revived.stderr);
  t.match(revived.stderr, 'starting n3 again');
  t.same(await listed(), ['n1 up', 'n2 up', 'n3 up']);
  t.equal((await runProgram(kvctlPath, [...args, 'down'])).code, 0);
  t.match((await runProgram(kvctlPath, [...args, 'down'])).stderr, 'nothing was running');
  t.equal((await runProgram(kvctlPath, [...args, 'up', '--nodes', '3', '--shards', '4'])).code, 0);
  t.equal(
    (await runProgram(kvctlPath, [...args, 'get', 'k'])).stdout.toString(),
    'v',
    'the data outlive the processes',
  );
});

t.test('bench reports what it measured, and what changed since', async (t) => {
  const cluster = await TestCluster.start({ shards: 4 });
  t.teardown(() => cluster.stop());
  const common = ['-N', '200', '-S', '1', '--warmup', '0.2'];
  const closed = ['bench', '--op', 'mixed', '-C', '16', ...common, '-o', 'json'];
  const { code, stdout } = await cluster.kvctl(closed);
  t.equal(code, 0);
  const result = JSON.parse(stdout.toString());
  t.ok(result.ok > 0);
  t.ok(result.latencyMs.p50 > 0 && result.latencyMs.p50 <= result.latencyMs.p99);
  t.same(result.errors, {});

  const path = join(cluster.directory, 'before.json');
  writeFileSync(path, stdout);
  const open = await cluster.kvctl(['bench', '--rate', '50', ...common, '--compare-to', path, '-o', 'json']);
  t.equal(open.code, 0, open.stderr);
  t.match(open.stderr, 'warning: not the same: loop was closed, now open');
  const { rate, ok, failed, unknown, setting, intervals, change } = JSON.parse(open.stdout.toString());
  t.match(setting, { loop: 'open', operation: 'put', rate: 50 });
  t.equal(rate.neverSent, 0);
  t.equal(intervals.length, 1);
  // 60 are due, in the warm-up and after it; nothing was due before.
  t.ok(ok > 0 && ok + failed + unknown <= 60, `${ok}, ${failed}, ${unknown}`);
  t.equal(change.figures.perSecond.earlier, result.perSecond);

  const table = await cluster.kvctl(['bench', '--rate', '50', ...common, '--compare-to', path]);
  t.match(table.stdout.toString(), /^OP +RATE .*\nput .* due .*\n +sent .*\nthe rate was (not )?kept: /);
  t.match(table.stdout.toString(), /\nMETRIC +EARLIER +NOW +CHANGE\nper second /);
  writeFileSync(path, '{}');
  t.equal((await cluster.kvctl([...closed, '--compare-to', path])).code, 2);
});

t.test('bench that is interrupted reports what it has done', async (t) => {
  const cluster = await TestCluster.start({ shards: 4 });
  t.teardown(() => cluster.stop());
  const where = ['--config', cluster.configPath, '--server', cluster.nats.url];
  const args = [kvctlPath, ...where, 'bench', '--rate', '100', '-S', '1h', '--warmup', '0', '-o', 'json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let printed = '';
  child.stdout.on('data', (bytes: Buffer) => {
    printed += bytes.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  while (JSON.parse((await cluster.kvctl(['count', 'bench/', '-o', 'json'])).stdout.toString()).count < 3);
  child.kill('SIGINT');
  t.equal(await ended, 130);
  const { isInterrupted, ok } = JSON.parse(printed);
  t.equal(isInterrupted, true);
  t.ok(ok >= 3);
});

t.test(
  'buckets are created, used, changed and removed; a name used again starts empty, after a restart too',
  async (t) => {
    const cluster = await TestCluster.start({ shards: 4 });
    t.teardown(() => cluster.stop());
    const kvctl = async (...args: string[]) => {
      const { code, stdout, stderr } = await cluster.kvctl(args);
      return { code, out: stdout.toString(), err: stderr };
    };
    const created = await kvctl('bucket', 'create', 'sessions', '--ttl', '1h', '--max-value', '1KiB', '-o', 'json');
    t.equal(created.code, 0, created.err);
    t.match(JSON.parse(created.out), { bucket: { id: 3, name: 'sessions', ttlMs: 3_600_000, maxValueBytes: 1024 } });
    t.equal((await kvctl('bucket', 'create', 'sessions')).code, 4);
    t.equal((await kvctl('bucket', 'create', 'Sessions')).code, 2);
    t.equal((await kvctl('-b', 'sessions', 'put', 'k', 'v')).code, 0, 'at once, whichever node is asked');
    const large = await kvctl('-b', 'sessions', 'put', 'large', 'x'.repeat(1025));
    t.equal(large.code, 1);
    t.match(large.err, /TOO_LARGE: .*1024 bytes/);
    t.equal((await kvctl('bucket', 'config', 'sessions', '--max-value', '2KiB', '--cache-share', '0.3')).code, 0);
    t.match((await kvctl('bucket', 'ls')).out, /\n +3 {2}sessions .* 1h +2KiB +0\.3\n/);

    t.equal((await kvctl('bucket', 'rm', 'sessions')).code, 2, 'nobody can be asked here');
    t.equal((await kvctl('-b', 'sessions', 'get', 'k')).out, 'v');
    t.equal((await kvctl('bucket', 'rm', 'sessions', '--yes')).code, 0);
    t.equal((await kvctl('bucket', 'rm', 'sessions', '--yes')).code, 3);
    const gone = await kvctl('-b', 'sessions', 'get', 'k');
    t.equal(gone.code, 3);
    t.match(gone.err, 'no bucket "sessions"');

    t.match(JSON.parse((await kvctl('bucket', 'create', 'sessions', '-o', 'json')).out), {
      bucket: { id: 4, ttlMs: 0 },
    });
    t.equal((await kvctl('-b', 'sessions', 'scan')).out, '');
    t.equal((await kvctl('-b', 'sessions', 'put', 'new', 'value')).code, 0);
    for (const id of cluster.nodeIds) await cluster.signal(id, 'SIGKILL');
    for (const id of cluster.nodeIds) cluster.startNode(id);
    await cluster.untilLed();
    t.equal((await kvctl('-b', 'sessions', 'get', 'new')).out, 'value');
    t.equal((await kvctl('-b', 'sessions', 'get', 'k')).code, 3);
    const { out } = await kvctl('cluster', 'history');
    for (const kind of ['bucketCreated', 'bucketChanged', 'bucketRemoved']) t.match(out, kind);
  },
);
