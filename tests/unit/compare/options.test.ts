/** Goal: what is asked for on the command line is what is measured; nonsense is refused with a word of help. */
import test from 'ava';
import { RingraftError } from '../../../src/base/index.js';
import { type CompareFlags, catalogue, chosenWorkloads, parseCompareFlags } from '../../../src/compare/index.js';

const flags = (...args: string[]): CompareFlags => {
  const parsed = parseCompareFlags(args);
  if (parsed === undefined) throw new Error('only help was asked for');
  return parsed;
};
const names = (only?: string): string[] =>
  (only === undefined ? flags() : flags('--only', only)).workloads.map(({ name }) => name);

test('without options everything is measured, three times', (t) => {
  const all = flags();
  t.deepEqual(all.peers, ['ringraft', 'etcd', 'jetstream', 'jetstream-sync']);
  t.like(all, { repeats: 3, seconds: 5, shards: 16, mostProcesses: 2, json: false, quick: false });
  t.deepEqual(
    names(),
    catalogue().map(({ name }) => name),
  );
  for (const wanted of ['put@1024', 'stale-get@64', 'get@256/64KiB', 'put@256/16B', 'ycsb-f@256', 'batch-get@16']) {
    t.true(names().includes(wanted), wanted);
  }
});

test('quick is six workloads once, unless others are asked for', (t) => {
  const quick = flags('--quick');
  t.is(quick.workloads.length, 6);
  t.like(quick, { repeats: 1, seconds: 2 });
  t.deepEqual(
    flags('--quick', '--only', 'put@1').workloads.map(({ name }) => name),
    ['put@1'],
  );
  t.is(flags('--quick', '--repeats', '2').repeats, 2);
});

test('families and single workloads are chosen by name, each once, in one order', (t) => {
  t.deepEqual(names('put'), ['put@1', 'put@16', 'put@64', 'put@256', 'put@1024']);
  t.deepEqual(names('get@16,put@1,get@16'), ['put@1', 'get@16']);
  t.deepEqual(names('shards-64'), ['shards-64/put@256', 'shards-64/get@256']);
  t.deepEqual(names('keys'), ['keys/load', 'keys/get@256']);
  t.is(names('ycsb').length, 6);
  t.deepEqual(names('ycsb-e'), ['ycsb-e@256']);
  t.deepEqual(names('batch'), ['batch-put@16', 'batch-get@16']);
  t.is(names('sizes').length, 12);
  t.is(names('shards').length, 10);
  t.is(names('matrix').length, 60);
});

test('workloads that are not in the catalogue can be named', (t) => {
  const [put] = flags('--only', 'put@8/4KiB').workloads;
  t.like(put, { name: 'put@8/4KiB', inFlight: 8, dataset: { prefix: 'v4096', records: 16_384, valueBytes: 4096 } });
  const [sharded] = flags('--only', 'shards-8/get@32').workloads;
  t.like(sharded, { name: 'shards-8/get@32', shards: 8, inFlight: 32 });
  t.like(flags('--only', 'ycsb-b@3').workloads[0], { inFlight: 3, keys: 'zipfian' });
});

test('shares of every mix add up', (t) => {
  for (const { name, mix } of catalogue()) {
    const sum = mix.reduce((total, [, share]) => total + share, 0);
    t.true(name === 'keys/load' ? sum === 0 : Math.abs(sum - 1) < 1e-9, name);
  }
});

test('fewer keys are what they are asked to be', (t) => {
  const all = flags('--records', '500', '--many-keys', '2000', '--only', 'put@1,keys,get@256/64KiB').workloads;
  t.deepEqual(
    all.map(({ name, dataset }) => [name, dataset.records]),
    [
      ['put@1', 500],
      ['get@256/64KiB', 500],
      ['keys/load', 2000],
      ['keys/get@256', 2000],
    ],
  );
});

test('Ringraft is always compared, the others as asked', (t) => {
  t.deepEqual(flags('--peers', 'jetstream,etcd').peers, ['ringraft', 'etcd', 'jetstream']);
  t.deepEqual(flags('--peers', 'ringraft').peers, ['ringraft']);
});

test('nonsense is refused', (t) => {
  const refused: readonly [string[], RegExp][] = [
    [['--only', 'puts'], /no workload puts/],
    [['--only', 'put@0'], /put@0/],
    [['--only', 'put@99999'], /put@99999/],
    [['--only', 'put@1/1MiB'], /values have 1 to/],
    [['--only', 'put@1/0B'], /values have 1 to/],
    [['--only', 'ycsb-z@1'], /ycsb-z@1/],
    [['--only', 'constructor@1'], /constructor@1/],
    [['--only', ''], /--only/],
    [['--only', 'put,,get'], /--only/],
    [['--peers', 'redis'], /no redis/],
    [['--repeats', '0'], /--repeats/],
    [['--seconds', 'long'], /not a duration/],
    [['-o', 'xml'], /xml/],
    [['--fast'], /--fast/],
    [['extra'], /extra/],
  ];
  for (const [args, message] of refused) {
    const error = t.throws(() => flags(...args), { instanceOf: RingraftError, message }, args.join(' '));
    t.is(error?.code, 'BAD_REQUEST');
  }
  t.is(parseCompareFlags(['--help']), undefined);
});

test('every workload of the catalogue is found by its own name', (t) => {
  for (const workload of catalogue()) t.deepEqual(chosenWorkloads([workload.name], false), [workload]);
});
