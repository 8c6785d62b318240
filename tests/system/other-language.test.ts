/**
 * Goal: docs/protocol.md is enough to write a client from, in any language.
 * Method: one in Perl over a bare socket (other-language-client.pl), run against a real cluster; every line it prints.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

const script = join(process.cwd(), 'tests', 'system', 'other-language-client.pl');

const expected = `get of a missing key: error 404 NOT_FOUND, happened: no
put: revision R
get: camel
get, lease: false
cas: done
cas again: error 409 CONFLICT, happened: no
the conflict names the revision: yes
get after cas: dromedary
exists: true
incr: 1
incr by 41: 42
incr, once: 43
incr, once, again: 43
append: 19
ttl of what lives for ever: -1
touch: true
ttl is within a minute: yes
putIfAbsent: error 409 CONFLICT, happened: no
a misspelt header: error 400 BAD_REQUEST, happened: no
JSON put: {"keyB64":"/w==","revision":R}
JSON get: {"keyB64":"/w==","value":"one","revision":R,"consistency":"linearizable","stale":false}
JSON with a misspelt field: error 400 BAD_REQUEST, happened: no
batch: {"results":[{"key":"s/1","revision":R},{"key":"s/2","revision":R},{"error":{"code":"NOT_FOUND","message":"no such key","happened":"no","consistency":"linearizable","stale":false}},{"key":"visits","value":42,"revision":R},{"key":"none","found":false,"consistency":"linearizable","stale":false}]}
scan: {"items":[{"key":"s/1","value":"a","revision":R}],"more":true,"resumeAfter":"s/1","consistency":"linearizable","stale":false}
scan on: {"items":[{"key":"s/2","value":"b","revision":R}],"more":false,"consistency":"linearizable","stale":false}
raw scan: {"items":[{"key":"s/2","revision":R},{"key":"s/1","revision":R}],"more":false,"consistency":"linearizable","stale":false}
count: 2
protobuf put: has a revision
protobuf get: bytes
protobuf error: NOT_FOUND
no such bucket: error 404 NOT_FOUND, happened: no
too large: error 413 TOO_LARGE, happened: no
delete: true
delete again: false
no such operation: nobody listens (503)
service: ringraft
`;

t.setTimeout(hangGuardMs);

t.test('a client in another language, from the documentation alone', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const child = spawn('perl', [script, '127.0.0.1', String(cluster.nats.port)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  let errors = '';
  child.stdout.on('data', (bytes: Buffer) => {
    printed += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  t.equal(errors, '');
  t.equal(code, 0);
  t.same(printed.replace(/^put: revision \d+$/m, 'put: revision R').split('\n'), expected.split('\n'));
});
