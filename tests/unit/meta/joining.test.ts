/** Goal: a node that joins gets the map it is in, asks for as long as it takes, and takes no for an answer only where it is one. */
import test from 'ava';
import { isRingraftError, type Logger, silentLogger } from '../../../src/base/index.js';
import { joinCluster } from '../../../src/meta/joining.js';
import { type ClusterMap, managerSubject } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { aMap, n1, n2, n3, n5 } from './fake-system.js';

const node = { id: n5, zone: 'z', weight: 2 };
const map = aMap(2, [n1, n2, n3], { epoch: 4 });

function fixture() {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const said: unknown[] = [];
  const stopping = new AbortController();
  const logger: Logger = { ...silentLogger, warn: (fields) => said.push(fields.obstacle) };
  const requests: unknown[] = [];
  const asked = joinCluster({ bus, clock, logger, cluster: 'test', node, stopping: stopping.signal });
  asked.catch(() => {});
  const answer = (text: () => string) =>
    bus.subscribe('client', managerSubject('test'), ({ payload, replyTo }) => {
      requests.push(JSON.parse(payload.toString()));
      if (replyTo !== undefined) bus.publish('client', replyTo, Buffer.from(text()));
    });
  return { clock, bus, said, stopping, requests, asked, answer };
}

const failure = (code: string): string => JSON.stringify({ error: { code, message: `it is ${code}`, happened: 'no' } });

test('the map of the answer is what is begun with; the request says who asks', async (t) => {
  const { clock, asked, answer, requests } = fixture();
  answer(() => JSON.stringify({ map }));
  t.deepEqual(await clock.until<ClusterMap>(asked), map);
  t.deepEqual(requests[0], { op: 'join', node });
  t.is(clock.armed, 0);
});

test('with nobody there it asks on, says so, and is taken in by whoever comes', async (t) => {
  const { clock, asked, answer, said } = fixture();
  await clock.advance(13_000);
  t.is(said.length, 2, 'after 2 s, then every 10');
  t.regex(String(said[0]), /nobody manages the cluster at the moment, or there is none of that name/);
  answer(() => JSON.stringify({ map }));
  t.deepEqual(await clock.until(asked), map);
});

test('passing refusals and answers that do not read are met with another question, and told', async (t) => {
  const { clock, asked, answer, said } = fixture();
  const answers = [...['NOT_LEADER', 'NO_LEADER', 'BUSY', 'TIMEOUT', 'NO_QUORUM'].map(failure), '{', 'null', '{}', '7'];
  for (let time = 0; time < 2; time++) answers.push(failure('BUSY'));
  answer(() => answers.shift() ?? JSON.stringify({ map }));
  t.deepEqual(await clock.until(asked), map);
  t.deepEqual(answers, []);
  t.deepEqual(said, ['the manager gave an answer of another kind']);
});

test('a refusal that stays is the end', async (t) => {
  const { clock, asked, answer } = fixture();
  answer(() => failure('BAD_REQUEST'));
  const error = await clock.until(asked.catch((reason: unknown) => reason));
  t.true(isRingraftError(error, 'BAD_REQUEST'));
  t.regex(String(error), /the cluster refuses this node: it is BAD_REQUEST/);
});

test('a node that is told to stop stops asking', async (t) => {
  const { clock, asked, stopping } = fixture();
  await clock.advance(1000);
  stopping.abort();
  const error = await clock.until(asked.catch((reason: unknown) => reason));
  t.true(isRingraftError(error, 'CLOSED'));
  t.is(clock.armed, 0);
});
