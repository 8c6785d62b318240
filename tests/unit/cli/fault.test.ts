/** Goal: faults are asked for in the words of the documentation; wrong words are refused with what is right. */
import test from 'ava';
import {
  leaderOf,
  parseDelay,
  parseDirection,
  parseGroups,
  parseOffset,
  parseRate,
  parseShare,
  undoText,
} from '../../../src/cli/fault-words.js';
import { FakeLocal } from '../../support/fake-local.js';

const nodes = ['n1', 'n2', 'n3', 'n4', 'n5'];

test('groups stand on sides of a bar, or in words of their own; who is not named is the last side', (t) => {
  const halves = [
    ['n1', 'n2'],
    ['n3', 'n4', 'n5'],
  ];
  t.deepEqual(parseGroups(['n1,n2 | n3,n4,n5'], nodes), halves);
  t.deepEqual(parseGroups(['n1,n2|n3,n4,n5'], nodes), halves);
  t.deepEqual(parseGroups(['n1,n2', 'n3, n4,n5'], nodes), halves);
  t.deepEqual(parseGroups(['n1,n2'], nodes), halves);
  t.throws(() => parseGroups(['n1 | n1,n2'], nodes), { message: /n1 stands on two sides/ });
  t.throws(() => parseGroups(['n1,n2,n3,n4,n5'], nodes), { message: /two sides at least/ });
});

test('a direction has a beginning and an end', (t) => {
  t.deepEqual(parseDirection(['n1 -> n2']), ['n1', 'n2']);
  t.deepEqual(parseDirection(['n1->n2']), ['n1', 'n2']);
  t.deepEqual(parseDirection(['n1', 'n2']), ['n1', 'n2']);
  t.deepEqual(parseDirection(['leader-of:3 -> n2']), ['leader-of:3', 'n2']);
  t.throws(() => parseDirection(['n1']), { message: /from whom to whom/ });
  t.throws(() => parseDirection(['n1', 'n2', 'n3']), { message: /from whom to whom/ });
});

test('shares, delays, rates and offsets are read as people write them', (t) => {
  t.is(parseShare('20%'), 0.2);
  t.is(parseShare('0.2'), 0.2);
  t.throws(() => parseShare('100%'), { message: /0% to 99%/ });
  t.throws(() => parseShare('much'), { message: /0% to 99%/ });
  t.deepEqual(parseDelay('50ms±20ms'), { delayMs: 50, jitterMs: 20 });
  t.deepEqual(parseDelay('50ms+-20ms'), { delayMs: 50, jitterMs: 20 });
  t.deepEqual(parseDelay('1s'), { delayMs: 1000, jitterMs: 0 });
  t.throws(() => parseDelay('10ms±20ms'), { message: /vary by more than itself/ });
  t.is(parseRate('64KiB/s'), 65_536);
  t.throws(() => parseRate('0'), { message: /at least a byte/ });
  t.is(parseOffset('+1h'), 3_600_000);
  t.is(parseOffset('-90s'), -90_000);
  t.is(parseOffset('2m'), 120_000);
  t.is(leaderOf('leader-of:7'), 7);
  t.is(leaderOf('n7'), undefined);
  t.is(undoText({ kind: 'kill', node: 'n1' }, 'kill-1'), 'kvctl fault heal kill-1');
});

test('kill ends a node and starts it again; ls, heal and probe say what there is', async (t) => {
  const local = new FakeLocal();
  t.teardown(() => local.remove());
  const detached = await local.run(['fault', 'kill', 'n2', '--detach', '-o', 'json']);
  t.is(detached.code, 0, detached.err);
  t.like(JSON.parse(detached.out.toString()), {
    id: 'kill-1',
    fault: { kind: 'kill', node: 'n2' },
    seen: 'the process of n2 is gone',
    undo: 'kvctl fault heal kill-1',
  });
  t.deepEqual(local.signals, ['SIGKILL n2']);
  t.regex((await local.run(['fault', 'ls'])).out.toString(), /kill-1\s+kill n2/);
  t.is((await local.run(['fault', 'heal', 'kill-9'])).code, 3);
  t.is((await local.run(['fault', 'heal'])).out.toString(), 'healed kill-1\n');
  t.true(local.runs('n2'));
  t.regex((await local.run(['fault', 'ls'])).err, /no fault is in force/);
  const lasting = await local.run(['fault', 'kill', 'leader-of:7', '--for', '1s']);
  t.is(lasting.code, 0, lasting.err);
  t.regex(
    lasting.out.toString(),
    /kill-1: kill n1\nseen: {2}the process of n1 is gone\nundo: [^\n]*\nhealed kill-1\n$/,
  );
});

test('what needs links is refused where all nodes share one nats-server', async (t) => {
  const local = new FakeLocal();
  t.teardown(() => local.remove());
  for (const argv of [['split', 'n1'], ['probe'], ['disk-full', 'n1'], ['clock-jump', 'n1', '+1h']]) {
    const { code, err } = await local.run(['fault', ...argv]);
    t.is(code, 2, argv.join(' '));
    t.regex(err, /--topology clustered/, argv.join(' '));
  }
  t.is((await local.run(['fault', 'flaky', 'n1', 'n2'])).code, 2);
  t.is((await local.run(['fault', 'kill', 'n9'])).code, 2);
  t.is((await local.run(['fault', 'kill', 'leader-of:99'])).code, 1);
  t.is((await local.run(['fault', 'kill', 'n1', '--for', '1s', '--detach'])).code, 2);
});
