/**
 * Goal: ten thousand requests at once leave a cluster healthy: each is answered, or refused with BUSY at once, or its
 * asker has given up; afterwards everything works and memory has not run away.
 * Method: a real cluster, requests over one plain NATS connection without our client, each with a second of time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type Bus, connectNats } from '../../src/transport/index.js';
import { TestCluster } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';
import { residentBytes } from '../support/node-memory.js';

const requests = 10_000;
const timeoutMs = 1000;
/** Of every node, beside what it had: generous, and far below what ten thousand bodies without bounds would be. */
const mostGrowthBytes = 400 * 1024 * 1024;

type Outcome = { readonly status: string; readonly afterMs: number };

/** All at once, and what became of each: `ok`, a status, or `none` within the time. */
async function flood(bus: Bus, request: (at: number) => [subject: string, body: Buffer]): Promise<Outcome[]> {
  const inbox = bus.newInbox();
  const outcomes: Outcome[] = Array.from({ length: requests }, () => ({ status: 'none', afterMs: timeoutMs }));
  const sentMs: number[] = [];
  let answered = 0;
  const subscription = bus.subscribe('client', `${inbox}.*`, ({ subject, headers, noResponders }) => {
    const at = Number(subject.slice(inbox.length + 1));
    if (outcomes[at]?.status !== 'none') throw new Error(`two answers to request ${at}`);
    const status = noResponders ? 'nobody' : (headers?.['Nats-Service-Error-Code'] ?? 'ok');
    outcomes[at] = { status, afterMs: performance.now() - (sentMs[at] ?? 0) };
    answered++;
  });
  for (let at = 0; at < requests; at++) {
    const [subject, body] = request(at);
    sentMs[at] = performance.now();
    bus.publish('client', subject, body, { replyTo: `${inbox}.${at}` });
  }
  await bus.flush('client');
  for (let waited = 0; waited < timeoutMs && answered < requests; waited += 10) await sleep(10);
  const inTime = outcomes.map((outcome) => ({ ...outcome }));
  // Late answers are nobody's any more.
  await sleep(1000);
  subscription.unsubscribe();
  return inTime;
}

function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Half of them came sooner; the last one. */
function busyAfter(outcomes: readonly Outcome[]): string {
  const times = outcomes.filter(({ status }) => status === '429').map(({ afterMs }) => Math.round(afterMs));
  times.sort((a, b) => a - b);
  return `${times[Math.floor(times.length / 2)]} ms, ${times.at(-1)} ms`;
}

t.setTimeout(hangGuardMs);

t.test('10,000 requests at once: answered or BUSY, and the cluster is as well as before', async (t) => {
  const cluster = await TestCluster.start();
  t.teardown(() => cluster.stop());
  const client = await cluster.client();
  for (let at = 0; at < 50; at++) await client.put('default', `before/${at}`, `${at}`);
  const pids = cluster.nodeIds.map((id) => cluster.pidOf(id) ?? 0);
  const bus = await connectNats({ servers: [cluster.nats.url], name: 'flood' }, ['client']);
  t.teardown(() => bus.close());
  const before = pids.map(residentBytes);

  const value = Buffer.alloc(1024, 'x');
  const floods: Record<string, (at: number) => [string, Buffer]> = {
    puts: (at) => [`kv.put.default.flood/${at}`, value],
    'puts of one key': () => ['kv.incr.default.counter', Buffer.alloc(0)],
    gets: (at) => [`kv.get.default.flood/${at}`, Buffer.alloc(0)],
    'JSON puts': (at) => ['kv.put.default', Buffer.from(JSON.stringify({ key: `json/${at}`, value: 'v' }))],
    counts: () => ['kv.count.default', Buffer.alloc(0)],
  };
  for (const [what, request] of Object.entries(floods)) {
    const outcomes = await flood(bus, request);
    const counts = tally(outcomes);
    t.comment(`${what}: ${JSON.stringify(counts)}; BUSY after (half, all) ${busyAfter(outcomes)}`);
    const known = ['ok', '404', '429', 'none'];
    t.same(
      Object.keys(counts).filter((status) => !known.includes(status)),
      [],
      `${what}: nothing but answers, BUSY and silence`,
    );
    // Counting every key that the floods before wrote can take longer than a second.
    if (what !== 'counts') t.ok((counts.ok ?? 0) + (counts['404'] ?? 0) > 0, `${what}: some are served`);
    t.ok((counts['429'] ?? 0) > 0, `${what}: the excess is refused`);
    await client.put('default', `after/${what}`, 'v');
  }

  t.same(
    cluster.nodeIds.map((id) => cluster.pidOf(id)),
    pids,
    'every node still runs',
  );
  const growth = pids.map((pid, at) => residentBytes(pid) - (before[at] ?? 0));
  t.comment(`memory grew by ${growth.map((bytes) => `${Math.round(bytes / 1e6)} MB`).join(', ')}`);
  for (const bytes of growth) t.ok(bytes < mostGrowthBytes, 'memory is bounded');
  for (let at = 0; at < 50; at++) t.equal((await client.get('default', `before/${at}`))?.value.toString(), `${at}`);
  const counted = await client.get('default', 'counter');
  t.ok(Number(counted?.value) > 0 && Number(counted?.value) <= requests, 'no increment happened twice');
});
