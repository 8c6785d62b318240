/**
 * Goal: whatever is sent to a public subject, the answer is one typed error or a success, and the node goes on.
 * Method: fast-check, which prints the seed of a failure: random bytes, broken and nearly right bodies and headers, to every
 * endpoint in every form. A throw that is no operating error would be an unhandled rejection, and fail the run.
 */
import test from 'ava';
import fc from 'fast-check';
import { errorCodes } from '../../../src/base/index.js';
import { messages } from '../../../src/proto/index.js';
import { endpoints } from '../../../src/service/endpoints.js';
import { requestHeaders } from '../../../src/service/raw-request.js';
import { type ServiceFixture, startServiceFixture } from '../../support/service-fixture.js';

type Sent = {
  readonly subject: string;
  readonly body: Buffer;
  readonly headers: Record<string, string> | undefined;
};

const names = endpoints.map(({ name }) => name);
const fieldNames = [
  ...Object.keys(requestHeaders),
  ...['op', 'ops', 'key', 'keyB64', 'value', 'valueB64', 'ifAbsent', 'expectedValue', 'prefix', '__proto__'],
];

const scalar = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, '', 'a', 'true', '0', '1', 'linearizable', 'one', 2 ** 53, -1, 1e308, ...names),
);
const record = (value: fc.Arbitrary<unknown>): fc.Arbitrary<object> =>
  fc.dictionary(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...fieldNames) }, fc.string()), value, { maxKeys: 6 });
const nearlyRight = record(fc.oneof({ weight: 3, arbitrary: scalar }, fc.array(record(scalar), { maxLength: 5 })));
const json = fc.oneof(nearlyRight, fc.jsonValue()).map((value) => Buffer.from(JSON.stringify(value)));
const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each));
const protobuf = nearlyRight.map((fields) => {
  const message = { ...fields, key: Buffer.from('k') };
  try {
    return Buffer.from(messages.KvRequest.encode(message as never).finish());
  } catch {
    return Buffer.from([0x12, 0x01, 0x6b]);
  }
});
const truncated = fc
  .tuple(fc.oneof(json, protobuf), fc.nat(400))
  .map(([body, length]) => body.subarray(0, Math.min(length, body.length)));
const oversized = fc.nat(15_000).map((length) => Buffer.alloc(length, 0x7b));
const body = fc.oneof(json, protobuf, bytes, truncated, oversized, fc.constant(Buffer.alloc(0)));

const headerText = fc.string({ unit: 'binary', maxLength: 60 });
const headers = fc.dictionary(
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...Object.values(requestHeaders), 'Kv-After-B64', 'Content-Type') },
    headerText,
  ),
  fc.oneof(
    headerText,
    fc.integer().map(String),
    fc.constantFrom('application/protobuf', 'application/json', 'true', 'quorum', '0', '5', 'x'.repeat(8000)),
  ),
  { maxKeys: 4 },
);
const subjectRest = fc.oneof(
  fc.constantFrom('default', 'default.k', 'cities.a.b', 'none', 'none.k', 'default.*', 'default.>', '\ufffd', ''),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
);
const hostile: fc.Arbitrary<Sent> = fc
  .tuple(fc.constantFrom(...names), subjectRest, body, fc.option(headers, { nil: undefined }))
  .map(([name, rest, payload, some]) => ({ subject: `kv.${name}.${rest}`, body: payload, headers: some }));

/** Between them, what friends send: it has to be served as ever. */
const friendly: fc.Arbitrary<Sent> = fc
  .constantFrom(
    ...['get', 'exists', 'del', 'incr', 'touch', 'scan', 'count'].map((name) => [`${name}.default.f`, ''] as const),
    ...['put', 'append'].map((name) => [`${name}.default.f`, '7'] as const),
    ...['put', 'incr'].map((name) => [`${name}.cities`, '{"key":"g"}'] as const),
    ['batch.default', '{"ops":[{"op":"get","key":"f"},{"op":"put","key":"h","value":""}]}'] as const,
  )
  .map(([rest, text]) => ({ subject: `kv.${rest}`, body: Buffer.from(text), headers: undefined }));
const sent = fc.oneof({ weight: 4, arbitrary: hostile }, { weight: 1, arbitrary: friendly });

async function answerTo({ bus, clock }: ServiceFixture, { subject, body: payload, headers: some }: Sent) {
  const replyTo = bus.newInbox();
  const answers: { payload: Buffer; headers: Readonly<Record<string, string>> | undefined }[] = [];
  const subscription = bus.subscribe('client', replyTo, (answer) => answers.push(answer));
  bus.publish('client', subject, payload, some === undefined ? { replyTo } : { replyTo, headers: some });
  await clock.advance(50);
  for (let waited = 0; answers.length === 0 && waited < 20; waited++) await clock.advance(500);
  subscription.unsubscribe();
  return answers;
}

function errorIn(payload: Buffer, contentType: string | undefined): { code?: unknown; happened?: unknown } {
  if (contentType === 'application/protobuf') return messages.KvAnswer.decode(payload).error ?? {};
  return (JSON.parse(payload.toString()) as { error: { code: unknown; happened: unknown } }).error;
}

test('whatever is sent to a public subject has one answer: a success or a typed error', async (t) => {
  const fixture = await startServiceFixture({ maxPayloadBytes: 16_384, timeoutMs: 300 });
  let errors = 0;
  let successes = 0;
  await fc.assert(
    fc.asyncProperty(sent, async (message) => {
      const answers = await answerTo(fixture, message);
      if (answers.length !== 1) throw new Error(`${answers.length} answers to ${message.subject}`);
      const [answer] = answers;
      const some = answer?.headers ?? {};
      const status = some['Nats-Service-Error-Code'];
      if (status === undefined) {
        successes++;
        return;
      }
      errors++;
      const { code, happened } = errorIn(answer?.payload ?? Buffer.alloc(0), some['Content-Type']);
      if (!errorCodes.some((known) => known === code)) throw new Error(`no code: ${String(code)}`);
      if (happened !== 'no') throw new Error(`happened ${String(happened)}`);
      if (!/^[45]\d\d$/.test(status) || !/^[\x20-\x7e]+$/.test(some['Nats-Service-Error'] ?? '')) {
        throw new Error(`headers ${JSON.stringify(some)}`);
      }
    }),
    { numRuns: 3000, endOnFailure: true },
  );
  t.true(errors > 500 && successes > 100, `${errors} errors, ${successes} successes`);
  t.log({ errors, successes });
  const after = await fixture.ask('kv.put.default.after', 'v');
  t.is(after.headers['Nats-Service-Error-Code'], undefined);
});
