/** Goal: what a chaos run is asked for is what it does; what makes no sense is refused with what would. */
import test from 'ava';
import { parseChaosFlags } from '../../../src/chaos/options.js';
import { faultKinds } from '../../../src/faults/index.js';

const parse = (...args: readonly string[]) => parseChaosFlags(args, () => 42);

test('without options: two minutes of all kinds on five nodes, from a seed that is drawn', (t) => {
  t.like(parse(), { seconds: 120, seed: 42, nodes: 5, replication: 3, shards: 16, backend: 'proxy', json: false });
  t.deepEqual(parse()?.kinds, faultKinds);
  t.is(parse('--help'), undefined);
});

test('options are taken; a duration may have a unit', (t) => {
  const flags = parse('--seconds', '5m', '--seed', '7', '--faults', 'kill, pause', '--nodes', '3', '-o', 'json');
  t.like(flags, { seconds: 300, seed: 7, kinds: ['kill', 'pause'], nodes: 3, json: true });
});

for (const [args, message] of [
  [['--faults', 'meteor'], /there is no meteor; there are split/],
  [['--workloads', 'nothing'], /there is no nothing; there are register/],
  [['--nodes', '2'], /--nodes is a whole number of at least 3/],
  [['--seed', '1.5'], /--seed is a whole number/],
  [['--replication', '4'], /--replication is 1, 3 or 5/],
  [['--nodes', '3', '--replication', '5'], /at most the number of nodes/],
  [['--backend', 'magic'], /proxy or netns/],
  [['-o', 'xml'], /json or table/],
  [['--unknown'], /Unknown option/],
] as const) {
  test(`refused: ${args.join(' ')}`, (t) => {
    t.throws(() => parse(...args), { code: 'BAD_REQUEST', message });
  });
}
