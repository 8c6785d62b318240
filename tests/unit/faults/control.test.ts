/**
 * Goal: fault control is the same through the unix socket as without it: arguments, answers, errors. Method: a real socket
 * in a directory of the test, a control that records.
 */
import { statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isRingraftError, RingraftError } from '../../../src/base/index.js';
import { serveFaultControl } from '../../../src/faults/control-server.js';
import { connectFaultControl, type FaultControl, flaky, type LinkFault } from '../../../src/faults/index.js';
import { inDirectory } from '../../support/temporary-directory.js';

const fault: LinkFault = { id: 'a', ...flaky('n1', 'n2', { lossShare: 0.1, delayMs: 5 }) };
const link = { from: 'nats-n1', to: 'nats-n2' };

class RecordingControl implements FaultControl {
  readonly calls: unknown[] = [];
  failure: Error | undefined;

  async inject(given: LinkFault): Promise<void> {
    this.calls.push(['inject', given]);
    if (this.failure !== undefined) throw this.failure;
  }
  async remove(id: string): Promise<boolean> {
    this.calls.push(['remove', id]);
    return id === 'a';
  }
  async heal(): Promise<number> {
    return 2;
  }
  async list(): Promise<readonly LinkFault[]> {
    return [fault];
  }
  async reset(links: readonly unknown[]): Promise<number> {
    this.calls.push(['reset', links]);
    return 3;
  }
  async probe(timeoutMs: number) {
    this.calls.push(['probe', timeoutMs]);
    return [{ ...link, reached: false }];
  }
}

const served = (
  work: (client: FaultControl, control: RecordingControl, path: string) => Promise<void>,
): Promise<void> =>
  inDirectory('faults', async (directory) => {
    const path = join(directory, 'faults.sock');
    const control = new RecordingControl();
    const server = await serveFaultControl(control, path);
    try {
      await work(connectFaultControl(path), control, path);
    } finally {
      await server.close();
    }
  });

test('every operation arrives as it was called, and so does its answer', async (t) => {
  await served(async (client, control) => {
    t.is(await client.inject(fault), undefined);
    t.true(await client.remove('a'));
    t.false(await client.remove('b'));
    t.is(await client.heal(), 2);
    t.deepEqual(await client.list(), [fault]);
    t.is(await client.reset([link]), 3);
    t.deepEqual(await client.probe(50), [{ ...link, reached: false }]);
    t.deepEqual(control.calls, [
      ['inject', fault],
      ['remove', 'a'],
      ['remove', 'b'],
      ['reset', [link]],
      ['probe', 50],
    ]);
  });
});

test('an error arrives as the same error', async (t) => {
  await served(async (client, control) => {
    control.failure = new RingraftError('CONFLICT', 'there is one', { happened: 'unknown', fields: { id: 'a' } });
    const error = await t.throwsAsync(client.inject(fault), { message: 'there is one' });
    t.true(isRingraftError(error, 'CONFLICT'));
    t.like(error, { happened: 'unknown', fields: { id: 'a' } });
  });
});

/** What the server says to a body that no client of ours sends. */
const post = (path: string, operation: string, body: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, path: `/${operation}`, method: 'POST' }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject).end(body);
  });

test('what makes no sense is a BAD_REQUEST that names the place', async (t) => {
  await served(async (_client, control, path) => {
    const bad: readonly (readonly [string, string, RegExp])[] = [
      ['inject', '{"fault":{"id":"a","description":"x","effects":[{"from":"b"}]}}', /inject\.fault\.effects\[0\]\.to/],
      ['inject', '{"fault":{"id":7}}', /inject\.fault\.id: has to be a text/],
      [
        'inject',
        '{"fault":{"id":"a","description":"x","effects":[{"from":"a","to":"b","effect":{"cut":1}}]}}',
        /effect\.cut: has to be true or false/,
      ],
      ['remove', '[]', /remove: has to be an object/],
      ['probe', '{"timeoutMs":"1"}', /probe\.timeoutMs: has to be a number/],
      ['reset', '{"links":{}}', /reset\.links: has to be an array/],
      ['list', '{', /no JSON/],
      ['destroy', '{}', /is nothing/],
    ];
    for (const [operation, body, wanted] of bad) {
      const { error } = JSON.parse(await post(path, operation, body)) as { error: { code: string; message: string } };
      t.is(error.code, 'BAD_REQUEST', operation);
      t.regex(error.message, wanted);
    }
    t.deepEqual(control.calls, []);
    t.regex(await post(path, 'list', ' '.repeat(5 * 1024 * 1024)), /TOO_LARGE/);
  });
});

test('only this user may open the socket; it is gone when the server is', async (t) => {
  let path = '';
  await served(async (_client, _control, at) => {
    path = at;
    t.is(statSync(path).mode & 0o777, 0o600);
  });
  t.throws(() => statSync(path), { code: 'ENOENT' });
});

const checkUnreachable = async (t: ExecutionContext, path: string): Promise<void> => {
  const error = await t.throwsAsync(connectFaultControl(path).heal(), { message: /no fault server answers on/ });
  t.true(isRingraftError(error, 'UNREACHABLE'));
  t.like(error, { happened: 'no' });
};

test('no server is UNREACHABLE, and a second one on the same socket a CONFLICT', async (t) => {
  await checkUnreachable(t, '/nowhere/faults.sock');
  await served(async (client, control, path) => {
    t.true(isRingraftError(await t.throwsAsync(serveFaultControl(control, path)), 'CONFLICT'));
    t.is(await client.heal(), 2, 'the first serves on');
  });
});

test('what a crashed server left is replaced', async (t) => {
  await inDirectory('faults', async (directory) => {
    const path = join(directory, 'faults.sock');
    writeFileSync(path, '');
    await checkUnreachable(t, path);
    const server = await serveFaultControl(new RecordingControl(), path);
    t.is(await connectFaultControl(path).heal(), 2);
    await server.close();
  });
});
