/** Goal: a history survives being written down. Method: histories of every kind there and back, and broken lines. */
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError } from '../../../src/base/index.js';
import { decodeHistory, encodeHistory, type OperationRecord } from '../../../src/checker/index.js';
import { anyHistory, put, span, unknown } from '../../support/histories.js';

test('a history reads back as it was written', (t) => {
  const isSame = (history: OperationRecord[]) => {
    t.deepEqual(decodeHistory(encodeHistory(history)), history);
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory(10), isSame), { numRuns: 200 }));
});

test('a record is one line, whatever stands in it', (t) => {
  const record = { ...span(1.5, 2.25, put('line\nbreak\u2028 "quoted" \ud800'), 'käy\n'), client: 7 };
  const text = encodeHistory([record]);
  t.is(text.indexOf('\n'), text.length - 1);
  t.deepEqual(decodeHistory(text), [record]);
});

test('an endless operation is written with completed null', (t) => {
  t.is(
    encodeHistory([span(3, 9, unknown(put('a')))]),
    '{"client":3,"invoked":3,"completed":null,"key":"k","input":{"op":"put","value":"a"},"output":{"kind":"unknown"}}\n',
  );
});

test('empty lines are skipped, and an empty file is an empty history', (t) => {
  t.deepEqual(decodeHistory(''), []);
  t.is(decodeHistory(`\n${encodeHistory([span(0, 1, put('a'))])}\n\r\n`).length, 1);
});

const record = { client: 1, invoked: 1, completed: 2, key: 'k', input: { op: 'get' }, output: { kind: 'ok' } };
const broken: Readonly<Record<string, unknown>> = {
  'not an object': [1],
  'client is not a whole number': { ...record, client: 'c1' },
  'invoked is not a number': { ...record, invoked: null },
  'completed is not after invoked': { ...record, completed: 0 },
  'key is not a string': { ...record, key: 7 },
  'input is not an object': { ...record, input: 'get' },
  'output is not an object': { ...record, output: undefined },
  'input.op is "increment"': { ...record, input: { op: 'increment' } },
  'input.value is not a string': { ...record, input: { op: 'put', value: null } },
  'input.expected is neither a string nor null': { ...record, input: { op: 'cas', value: 'a' } },
  'output.kind is "failed"': { ...record, output: { kind: 'failed' } },
  'output.value is neither a string nor null': { ...record, output: { kind: 'ok', value: 1 } },
  'output.found is not a boolean': { ...record, output: { kind: 'ok', found: 'yes' } },
  'a get is never refused': { ...record, output: { kind: 'refused' } },
  'output.value of a delete that is ok says nothing': {
    ...record,
    input: { op: 'delete' },
    output: { kind: 'ok', value: 'a' },
  },
  'output.found of a put that is ok says nothing': {
    ...record,
    input: { op: 'put', value: 'a' },
    output: { kind: 'ok', found: true },
  },
  'completed is endless exactly when the outcome is unknown': { ...record, completed: null },
};

for (const [fault, value] of Object.entries(broken)) {
  test(`a line is refused when ${fault}`, (t) => {
    const text = `${JSON.stringify(record)}\n${JSON.stringify(value)}\n`;
    const error = t.throws(() => decodeHistory(text));
    t.is(error?.message, `history line 2: ${fault}`);
    t.true(isRingraftError(error, 'BAD_REQUEST') && error.fields.line === 2);
  });
}

test('a line that is cut off is named', (t) => {
  const text = `${JSON.stringify(record)}\n\n{"client":1,`;
  t.throws(() => decodeHistory(text), { message: /^history line 3: not JSON: / });
});
