/**
 * Goal: no change makes an operation cost more messages, syncs, bytes, copies, timers or memory without anybody noticing.
 * Method: fixed workloads against the real client, hosts, logs and stores in virtual time, in a process of their own;
 * what they came to is compared with `tests/counts/budget.ts`. No time is measured.
 */
import test from 'ava';
import { excessOf, usualResult } from '../counts/budget.js';
import { countAll } from '../counts/run-child.js';

test('an operation costs no more messages, syncs, bytes, copies, timers and memory than before', async (t) => {
  // Nothing is timed; a machine that is busy takes long all the same.
  t.timeout(600_000);
  t.deepEqual(excessOf(await countAll()), []);
});

test('what a figure may come to is near to what it was', (t) => {
  const usual = usualResult();
  t.deepEqual(excessOf(usual), []);
  for (const name of Object.keys(usual.workloads)) {
    for (const [figure, value] of Object.entries(usual.workloads[name] ?? {})) {
      const worse = { ...usual.workloads, [name]: { ...usual.workloads[name], [figure]: 1.05 * value + 0.02 } };
      t.is(excessOf({ ...usual, workloads: worse }, '20.0.0').length, 1, `${name}: ${figure}`);
    }
  }
});

test('a figure without a budget, and one that was not measured, are found', (t) => {
  const usual = usualResult();
  const { put = {}, ...others } = usual.workloads;
  const { 'syncs of the log': _, ...missing } = put;
  t.regex(excessOf({ ...usual, workloads: { ...others, put: missing } }).join('\n'), /syncs of the log: not measured/);
  const more = { ...others, put: { ...put, 'new figure': 1 } };
  t.regex(excessOf({ ...usual, workloads: more }).join('\n'), /new figure: 1, no budget/);
  t.true(excessOf({ ...usual, codecs: {} }).length > 0);
});
