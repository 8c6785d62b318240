/** Goal: a kvd that is broken on purpose still runs as one, and one that is to be broken in an unknown way does not. */
import t from 'tap';
import { breakableKvdPath, brokenEnvironment, brokenNames } from '../chaos/broken-builds.js';
import { kvdPath, runProgram, TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

t.test('a kvd whose bug nobody knows refuses to start', async (t) => {
  const env = brokenEnvironment('read-with-quorum');
  const { code, stderr } = await runProgram(breakableKvdPath, ['--version'], { env });
  t.equal(code, 2);
  t.match(stderr, /KV_BROKEN is read-with-quorum; there are read-without-quorum/);
});

t.test('the bundled kvd, which would run as if nothing were broken, refuses to start', async (t) => {
  const { code, stderr } = await runProgram(kvdPath, ['--version'], { env: brokenEnvironment('no-dedupe') });
  t.equal(code, 2);
  t.match(stderr, /cannot be broken/);
});

for (const name of brokenNames) {
  t.test(`a cluster with the bug ${name} takes writes and serves reads`, async (t) => {
    const cluster = await TestCluster.start({ shards: 2, environment: brokenEnvironment(name) });
    t.teardown(() => cluster.stop());
    for (const id of cluster.nodeIds) t.match(cluster.logOf(id), `broken on purpose: ${name}`);
    const client = await cluster.client();
    for (let n = 0; n < 20; n++) await client.put('default', `key-${n}`, Buffer.from(`value ${n}`));
    for (let n = 0; n < 20; n++) t.equal((await client.get('default', `key-${n}`))?.value.toString(), `value ${n}`);
    for (const id of cluster.nodeIds) t.ok(cluster.pidOf(id), `${id} runs`);
  });
}
