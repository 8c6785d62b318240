/**
 * Goal: docs/errors.md and docs/protocol.md say what the code does.
 * Method: headings, tables and protobuf blocks are compared with the sources, both ways.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { errorCodes, RingraftError } from '../../../src/base/index.js';
import { exitCodeOf } from '../../../src/cli/exit-codes.js';
import { maxSpan } from '../../../src/client/sequence-window.js';
import { initHash, ringHash } from '../../../src/ring/index.js';
import { usualLimits } from '../../../src/service/admission.js';
import { answerHeaders, errorHeaders } from '../../../src/service/answer.js';
import { maxBatchOperations } from '../../../src/service/batch.js';
import { endpoints } from '../../../src/service/endpoints.js';

import { requestHeaders } from '../../../src/service/raw-request.js';
import { maxScanLimit } from '../../../src/service/scan.js';
import { statusOf } from '../../../src/service/statuses.js';
import { maxHeaderBytes } from '../../../src/transport/index.js';
import { codeNumber } from '../../../src/wire/index.js';

const read = (...path: string[]): string => readFileSync(join(process.cwd(), ...path), 'utf8');
const errors = read('docs', 'errors.md');
const protocol = read('docs', 'protocol.md');

test('docs/errors.md has one heading a code, in the order of the code', (t) => {
  const headings = [...errors.matchAll(/^## (\S+)$/gm)].map(([, code]) => code);
  t.deepEqual(headings, [...errorCodes]);
});

test('every code in docs/errors.md has all its facts, and statuses and exit codes are the real ones', (t) => {
  const sections = errors.split(/^## /m).slice(1);
  for (const [at, code] of errorCodes.entries()) {
    const section = sections[at] ?? '';
    const fact = (name: string): string => new RegExp(`^\\| ${name} \\| (.+) \\|$`, 'm').exec(section)?.[1] ?? '';
    for (const name of ['Means', 'Happened', 'What to do']) t.not(fact(name), '', `${code}: ${name}`);
    t.regex(fact('Happened'), /`(no|unknown)`/, code);
    t.is(fact('Service status'), String(statusOf(code)), code);
    t.is(fact('kvctl exit code'), String(exitCodeOf(new RingraftError(code, ''))), code);
  }
});

test('docs/protocol.md numbers the codes as the wire does', (t) => {
  for (const code of errorCodes) t.regex(protocol, new RegExp(`\\| ${codeNumber(code)} \\| ${code} \\|`), code);
});

test('docs/protocol.md has the messages of the schema, field by field', (t) => {
  const definitions = (text: string): Map<string, string> => {
    const plain = text.replaceAll(/^\s*\/\/.*$/gm, '').replaceAll(/\s+/g, ' ');
    return new Map(
      [...plain.matchAll(/(?:message|enum) (\w+) \{([^}]*)\}/g)].map(([, name = '', body = '']) => [name, body.trim()]),
    );
  };
  const schema = definitions(read('src', 'proto', 'kv.proto') + read('src', 'proto', 'service.proto'));
  const described = definitions(
    [...protocol.matchAll(/```proto\n([\s\S]*?)```/g)].map(([, block]) => block).join('\n'),
  );
  const needed = [
    'Operation',
    'OperationBatch',
    'OperationResult',
    'ResultBatch',
    'ScanRequest',
    'ScanPair',
    'ScanPage',
    ...definitions(read('src', 'proto', 'service.proto')).keys(),
  ];
  for (const name of needed) t.true(described.has(name), name);
  for (const [name, body] of described) t.is(body, schema.get(name) ?? `${name} is not in the schema`);
});

test('docs/protocol.md has every endpoint in every form, every status, and the limits there are', (t) => {
  for (const { name, raw } of endpoints) {
    if (raw !== undefined) t.regex(protocol, new RegExp(`\\| \`<prefix>\\.${name}\\.<bucket>\\.<key`), name);
    t.regex(protocol, new RegExp(`^\\| ${name} \\| .+ \\| .+ \\|$`, 'm'), name);
  }
  const rows = [...protocol.matchAll(/^\| ([45]\d\d) \| ([A-Z_, ]+) \|/gm)];
  const statuses = new Map(rows.flatMap(([, status, codes = '']) => codes.split(', ').map((code) => [code, status])));
  for (const code of errorCodes) t.is(statuses.get(code), String(statusOf(code)), code);
  const { maxRequests, maxBytes } = usualLimits;
  t.true(protocol.includes(`at most ${maxRequests} requests and ${maxBytes / 2 ** 20} MiB of their bodies`));
  t.true(protocol.includes(`up to ${maxBatchOperations} requests as above`));
  t.true(protocol.includes(`headers of more than ${maxHeaderBytes} bytes`));
  t.true(protocol.includes(`(1 to ${maxScanLimit}, default 100)`));
});

test('docs/protocol.md places keys where the ring does', async (t) => {
  await initHash();
  const rows = [...protocol.matchAll(/^\| `([^`]+)` \| `([0-9a-f]{8})` \|$/gm)];
  t.true(rows.length >= 6);
  for (const [, key = '', position = ''] of rows)
    t.is(ringHash(Buffer.from(key)).toString(16).padStart(8, '0'), position, key);
});

test('docs/protocol.md names every header and the bound of the window', (t) => {
  for (const name of [requestHeaders, answerHeaders, errorHeaders].flatMap(Object.values))
    t.true(protocol.includes(name), name);
  t.true(protocol.includes(`(${maxSpan} in the`));
});
