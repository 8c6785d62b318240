/**
 * Goal: nothing that anybody can publish stops a node: every request to a public subject gets one typed answer, what is
 * thrown at internal subjects is dropped or refused, memory stays bounded, and the cluster serves as before.
 * Method: a real cluster, and a generator with a printed seed: FUZZ_SEED=n repeats a run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { errorCodes, type Random, seededRandom } from '../../src/base/index.js';
import { messages } from '../../src/proto/index.js';
import { endpoints } from '../../src/service/endpoints.js';
import { requestHeaders } from '../../src/service/raw-request.js';
import { connectNats } from '../../src/transport/index.js';
import { TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';
import { residentBytes } from '../support/node-memory.js';
import { RawNats } from '../support/raw-nats.js';

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const publicMessages = 4000;
const internalMessages = 4000;
/** Of every node's memory, beside what it had after some traffic. */
const mostGrowth = 3;

class Generator {
  constructor(private readonly random: Random) {}

  below(limit: number): number {
    return this.random.nextU32() % limit;
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  bytes(most: number): Buffer {
    const bytes = Buffer.alloc(this.below(most + 1));
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.random.nextU32() & 0xff;
    return bytes;
  }

  number(): number {
    return this.one([0, 1, 2, -1, 5, 1.5, 255, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 48, 2 ** 53 - 1, 2 ** 53, 1e300]);
  }

  text(): string {
    const texts = [
      '',
      'k',
      'true',
      'one',
      'lease',
      'kv',
      '\u0000',
      '\ud800',
      'ü',
      '__proto__',
      '5',
      '-5',
      'x'.repeat(300),
    ];
    return this.below(4) === 0 ? this.bytes(40).toString('latin1') : this.one(texts);
  }

  value(depth = 0): unknown {
    const kind = this.below(depth > 2 ? 4 : 6);
    if (kind === 4) return Array.from({ length: this.below(4) }, () => this.value(depth + 1));
    if (kind === 5) return this.object(depth + 1);
    return [this.text(), this.number(), this.below(2) === 0, null][kind];
  }

  object(depth = 0): Record<string, unknown> {
    const names = [...Object.keys(requestHeaders), 'op', 'ops', 'key', 'value', 'keyB64', 'ifAbsent', 'prefix'];
    const more = ['shardId', 'node', 'term', 'members', 'v', 'type', 'sender', 'news', 'sequence', 'kind', 'epoch'];
    const fields = Array.from({ length: this.below(7) }, () => {
      const name = this.below(8) === 0 ? this.text() : this.one([...names, ...more]);
      return [name, name === 'op' ? this.op() : this.value(depth)] as const;
    });
    return Object.fromEntries(fields);
  }

  /** No order that a manager or a node would rightly obey. */
  private op(): unknown {
    return this.one([...endpoints.map(({ name }) => name), 'status', 'view', 'map', 'history', 'nonsense', 7, null]);
  }

  operationBatch(): Buffer {
    const operation = (): object => ({
      requestId: this.below(1000),
      kind: this.below(10),
      bucketId: this.below(4),
      key: this.bytes(20),
      value: this.bytes(50),
      condition: this.below(6),
      expectedRevision: Math.abs(Math.trunc(this.number())) % 2 ** 53,
      expectedValue: this.bytes(10),
      ttlMs: Math.abs(Math.trunc(this.number())) % 2 ** 53,
      level: this.below(7),
      sequence: Math.abs(Math.trunc(this.number())) % 2 ** 53,
      clientId: this.bytes(this.one([0, 0, 8, 9])),
    });
    const operations = Array.from({ length: this.below(5) }, operation);
    const clientId = this.below(8) === 0 ? this.bytes(20) : Buffer.alloc(8, this.below(255));
    const batch = { clientId, ackedBelow: this.below(100), mapEpoch: this.below(1000), operations };
    return Buffer.from(messages.OperationBatch.encode(batch as never).finish());
  }

  body(): Buffer {
    const whole = this.one([
      () => Buffer.from(JSON.stringify(this.object())),
      () => Buffer.from(JSON.stringify(this.value())),
      () => Buffer.from(messages.KvRequest.encode({ key: this.bytes(10), value: this.bytes(30) }).finish()),
      () => this.operationBatch(),
      () => this.bytes(200),
      () =>
        Buffer.alloc(
          this.below(100) === 0 ? this.below(900_000) : this.below(2000),
          this.one(['[', '{"', 'a', '\u0008']),
        ),
      () => Buffer.alloc(0),
    ])();
    return this.below(3) === 0 ? whole.subarray(0, this.below(whole.length + 1)) : whole;
  }

  headers(): Buffer | undefined {
    if (this.below(3) === 0) return undefined;
    const names = [...Object.values(requestHeaders), 'Content-Type', 'Content-Type', 'kv-ttl', 'Kv Bad', '', 'X'];
    const values = [
      'application/protobuf',
      'application/json',
      'true',
      '1',
      '0',
      '-1',
      'quorum',
      'a\nb',
      'x'.repeat(2000),
    ];
    const line = (): string => `${this.one(names)}: ${this.below(2) === 0 ? this.one(values) : this.text()}\r\n`;
    const lines = Array.from({ length: this.below(50) === 0 ? 3000 : this.below(5) }, line).join('');
    const right = Buffer.from(`NATS/1.0\r\n${lines}\r\n`, this.one(['utf8', 'latin1'] as const));
    return this.below(6) === 0 ? this.bytes(100) : right;
  }

  publicSubject(): string {
    const key = this.one(['k', 'a.b', '*', '>', '\xff\xfe', 'x'.repeat(500), '{a}/b', '%', '"']);
    const bucket = this.one(['default', 'default', 'default', 'other', 'none', '*', '\xe9']);
    const rest = this.below(2) === 0 ? bucket : `${bucket}.${key}`;
    return `kv.${this.one(endpoints).name}.${rest}`;
  }

  internalSubject(nodes: readonly string[]): string {
    const node = this.one(nodes);
    const ofNode = ['node', 'scan', 'admin', 'raft', 'gossip', 'snap'].map((name) =>
      name === 'snap' ? `snap.${node}.${this.one(['x', '1', '1-2-3', '*'])}` : `${name}.${node}`,
    );
    return `_kv.test.${this.one([...ofNode, `node.${node}`, `node.${node}`, 'map', 'manager', 'gossip', 'mapchange'])}`;
  }
}

type Answer = { readonly payload: Buffer; readonly headers: Readonly<Record<string, string>> };

/** What is wrong with an answer; undefined: nothing. */
function complaint({ payload, headers }: Answer): string | undefined {
  const status = headers['Nats-Service-Error-Code'];
  if (status === undefined) return undefined;
  const isProtobuf = headers['Content-Type'] === 'application/protobuf';
  const error = isProtobuf ? messages.KvAnswer.decode(payload).error : JSON.parse(payload.toString()).error;
  if (!errorCodes.some((code) => code === error?.code)) return `no code in ${payload}`;
  if (error.happened !== 'no' && error.happened !== 'unknown') return `happened ${error.happened}`;
  return /^[45]\d\d$/.test(status) ? undefined : `status ${status}`;
}

t.setTimeout(hangGuardMs);

t.test(`what strangers publish stops no node, seed ${seed}`, async (t) => {
  t.comment(`FUZZ_SEED=${seed}`);
  const random = new Generator(seededRandom(seed));
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client();
  for (let at = 0; at < 200; at++) await client.put('default', `safe/${at}`, `${at}`);
  const pids = cluster.nodeIds.map((id) => cluster.pidOf(id));
  const before = pids.map((pid) => residentBytes(pid ?? 0));
  const bus = await connectNats({ servers: [cluster.nats.url], name: 'fuzz' }, ['client']);
  t.teardown(() => bus.close());
  const raw = await RawNats.connect(cluster.nats.port);
  t.teardown(() => raw.close());
  const stillRun = (when: string): void => {
    const logs = cluster.nodeIds.map((id) => cluster.logOf(id).slice(-1500)).join('\n');
    const now = cluster.nodeIds.map((id) => cluster.pidOf(id));
    if (JSON.stringify(now) !== JSON.stringify(pids)) throw new Error(`a node stopped ${when}\n${logs}`);
  };

  await t.test('public subjects: one typed answer each', async (t) => {
    const inbox = bus.newInbox();
    const sent: string[] = [];
    const answers = new Map<number, string | undefined>();
    const twice: number[] = [];
    let errors = 0;
    bus.subscribe('client', `${inbox}.*`, ({ subject, payload, headers, noResponders }) => {
      const at = Number(subject.slice(inbox.length + 1));
      if (answers.has(at)) twice.push(at);
      const wrong = noResponders ? 'nobody listens' : complaint({ payload, headers: headers ?? {} });
      answers.set(at, wrong);
      if (headers?.['Nats-Service-Error-Code'] !== undefined) errors++;
    });
    await bus.flush('client');
    for (let at = 0; at < publicMessages; at++) {
      const [subject, body, headers] = [random.publicSubject(), random.body(), random.headers()];
      sent.push(`${subject} ${headers?.toString('latin1').slice(0, 200)} ${body.toString('latin1').slice(0, 200)}`);
      raw.publish(subject, body, { replyTo: `${inbox}.${at}`, ...(headers === undefined ? {} : { headers }) });
      await raw.drained();
      if (at % 100 === 99) {
        for (let waited = 0; answers.size <= at && waited < 15_000; waited += 5) await sleep(5);
        stillRun(`before message ${at}`);
      }
    }
    const unanswered = sent.filter((_, at) => !answers.has(at));
    const wrong = [...answers].filter(([, what]) => what !== undefined).map(([at, what]) => `${what}: ${sent[at]}`);
    t.same(unanswered.slice(0, 3), [], 'none is unanswered');
    t.same(wrong.slice(0, 3), [], 'every error is typed');
    t.same(twice, [], 'none is answered twice');
    t.ok(errors > publicMessages / 2, `${errors} errors in ${answers.size} answers`);
    t.comment(`${errors} errors in ${answers.size} answers`);
  });

  await t.test('internal subjects: dropped or refused', async (t) => {
    for (let at = 0; at < internalMessages; at++) {
      const headers = random.below(4) === 0 ? random.headers() : undefined;
      const replyTo = random.below(2) === 0 ? { replyTo: '_INBOX.nobody' } : {};
      const subject = random.internalSubject(cluster.nodeIds);
      // Half of what goes there is nearly right: it comes further than noise does.
      const body =
        subject.startsWith('_kv.test.node.') && random.below(2) === 0 ? random.operationBatch() : random.body();
      raw.publish(subject, body, { ...replyTo, ...(headers === undefined ? {} : { headers }) });
      await raw.drained();
      if (at % 200 === 199) {
        await client.put('default', 'pace', `${at}`, { timeoutMs: 20_000 });
        stillRun(`before message ${at}`);
      }
    }
    t.pass('all sent, nodes run');
  });

  await cluster.untilLed();
  for (let at = 0; at < 200; at++) t.equal((await client.get('default', `safe/${at}`))?.value.toString(), `${at}`);
  await client.put('default', 'after', 'v');
  stillRun('afterwards');
  const factors = pids.map((pid, at) => residentBytes(pid ?? 0) / (before[at] ?? 1));
  t.comment(`memory times ${factors.map((factor) => factor.toFixed(2)).join(', ')}`);
  for (const factor of factors) t.ok(factor < mostGrowth, 'memory stays bounded');
});
