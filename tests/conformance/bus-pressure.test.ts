/**
 * Goal: bulk traffic and slow consumers delay at most their own lane; they lose messages and never change one.
 * Method: a real server that disconnects consumers with more than a megabyte pending, and a listener that is stopped.
 */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { connectNats } from '../../src/transport/index.js';
import { startNatsServer } from '../support/nats-server.js';
import { numberedPayload } from '../support/numbered-payload.js';

const listenerPath = join(dirname(fileURLToPath(import.meta.url)), '..', 'support', 'bus-listener.js');
const bulkBytes = 64 * 1024;

test('pitfall 37: bulk data on one lane do not hold up a message on another', async (t) => {
  const server = await startNatsServer();
  t.teardown(() => server.stop());
  const [from, to] = await Promise.all(
    ['from', 'to'].map((name) => connectNats({ servers: [server.url], name }, ['raft', 'snapshot'])),
  );
  if (from === undefined || to === undefined) return t.fail();
  t.teardown(() => Promise.all([from.close(), to.close()]));
  const bulkCount = 2000;
  let bulk = 0;
  to.subscribe('snapshot', 'bulk', () => bulk++);
  const arrived = new Promise<number>((resolve) => to.subscribe('raft', 'beat', () => resolve(bulk)));
  await Promise.all([to.flush('raft'), to.flush('snapshot')]);
  for (let at = 0; at < bulkCount; at++) from.publish('snapshot', 'bulk', numberedPayload(at, bulkBytes));
  from.publish('raft', 'beat', Buffer.from('x'));
  const before = await arrived;
  t.true(before < bulkCount / 2, `${before} of ${bulkCount} bulk messages came before the heartbeat`);
  t.log(`${before} of ${bulkCount} bulk messages came before the heartbeat`);
});

test('pitfall 38: a consumer that stalls loses messages, gets none changed or out of order, and comes back', async (t) => {
  const server = await startNatsServer('max_pending: 1048576\nwrite_deadline: "1s"');
  t.teardown(() => server.stop());
  const bus = await connectNats({ servers: [server.url], name: 'publisher' }, ['raft']);
  t.teardown(() => bus.close());
  const child = spawn(process.execPath, [listenerPath, server.url, 'raft', 'numbers'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const heard: { at: number; whole: boolean }[] = [];
  let isReady = false;
  let disconnects = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as { ready?: true; connected?: boolean; at: number; whole: boolean };
    if (said.ready) isReady = true;
    else if (said.connected === false) disconnects++;
    else if (said.connected === undefined) heard.push(said);
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await sleep(20);
  };
  await until(() => isReady);
  const count = 800;
  child.kill('SIGSTOP');
  for (let at = 0; at < count; at++) bus.publish('raft', 'numbers', numberedPayload(at, bulkBytes));
  await bus.flush('raft');
  t.true(bus.isConnected('raft'), 'the publisher is none the worse');
  child.kill('SIGCONT');
  await until(() => disconnects > 0);
  let next = count;
  await until(() => {
    bus.publish('raft', 'numbers', numberedPayload(next++, bulkBytes));
    return (heard.at(-1)?.at ?? 0) >= count;
  });
  t.true(heard.every(({ whole }) => whole));
  const numbers = heard.map(({ at }) => at);
  t.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
    'in order, none twice',
  );
  t.true(numbers.length < next, `${numbers.length} of ${next} arrived`);
});
