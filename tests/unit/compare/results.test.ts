/** Goal: what is reported follows from what was measured. Method: repeats by hand, and the tables, page and picture of them. */
import test from 'ava';
import { colorsFor } from '../../../src/cli/index.js';
import {
  type Comparison,
  chosenWorkloads,
  drawChart,
  figuresOf,
  ResultBook,
  tablesOf,
  withFigures,
} from '../../../src/compare/index.js';

type Repeat = Parameters<ResultBook['add']>[2];

const repeat = (perSecond: number, more: Partial<Repeat> = {}): Repeat => ({
  perSecond,
  p50Ms: 1000 / perSecond,
  p99Ms: 4000 / perSecond,
  errors: {},
  missed: 0,
  clientCores: 0.4,
  clientBusy: 0.5,
  serverCores: 1.5,
  residentMb: { n1: 100, n2: 110 },
  setting: { route: 'leader', processes: 1 },
  ...more,
});

const workloads = chosenWorkloads(['put@1', 'put@256', 'ycsb-e'], false);

function comparison(): Comparison {
  const book = new ResultBook();
  for (const perSecond of [900, 1000, 1300]) book.add('put@1', 'ringraft', repeat(perSecond), undefined);
  for (const perSecond of [260, 240, 250])
    book.add('put@1', 'etcd', repeat(perSecond, { errors: { TIMEOUT: 2 } }), 'in its own way');
  book.add('put@1', 'jetstream', repeat(2000, { missed: 3, clientBusy: 0.97, clientCores: 0.9 }), undefined);
  // Busy because the servers take the CPU.
  book.add('put@256', 'ringraft', repeat(20_000, { clientBusy: 0.97 }), undefined);
  book.note('ycsb-e@256', 'JetStream KV has no scans');
  const system = { version: '1', deployment: 'three of them', client: 'its own' };
  return book.comparison(
    {
      command: 'npm run bench:compare --',
      date: '2026-01-01',
      machine: { processor: 'a processor', cores: 2, memoryGb: 8, system: 'Linux', disk: 'ext4', node: 'v20' },
      systems: [
        { name: 'ringraft', title: 'Ringraft', ...system },
        { name: 'etcd', title: 'etcd', ...system },
        { name: 'jetstream', title: 'JetStream KV', ...system },
      ],
      repeats: 3,
      seconds: 5,
      shards: 16,
      skipped: ['something: not installed'],
    },
    workloads,
  );
}

test('figures are medians, with what they lie between', (t) => {
  const [put] = comparison().workloads;
  t.like(put?.results.ringraft, { perSecond: 1000, p50Ms: 1, p99Ms: 4, errors: 0, residentMb: 210, serverCores: 1.5 });
  t.deepEqual(put?.results.ringraft?.range.perSecond, [900, 1300]);
  t.is(put?.results.ringraft?.serverMicrosPerOperation, 1500);
  t.is(put?.results.ringraft?.repeats.length, 3);
  t.like(put?.results.etcd, { perSecond: 250, errors: 6, remark: 'in its own way' });
});

test("ratios are Ringraft's figure divided by the other's", (t) => {
  const [put, single] = comparison().workloads;
  t.deepEqual(put?.ratios, {
    etcd: { throughput: 4, p50: 0.25, p99: 0.25 },
    jetstream: { throughput: 0.5, p50: 2, p99: 2 },
  });
  t.deepEqual(single?.ratios, {});
});

test('a workload without a result has a note, or is left out', (t) => {
  t.deepEqual(
    comparison().workloads.map(({ workload, notes }) => [workload, notes]),
    [
      ['put@1', []],
      ['put@256', []],
      ['ycsb-e@256', ['JetStream KV has no scans']],
    ],
  );
});

test('the tables say what was found, what went wrong, and what to doubt', (t) => {
  const text = tablesOf(comparison(), colorsFor({}, {}));
  t.regex(text, /put@1 +Ringraft +1,000 +900-1,300 +1\.00 +4\.00 +- /);
  t.regex(text, /\n +etcd +250 +240-260 .* 4\.0x .* 6\n/);
  t.regex(text, /\n +JetStream KV +2,000 +- .* 0\.50x .* 0, 3 missed\n/);
  t.regex(text, /note: etcd: errors were TIMEOUT \(put@1\)/);
  t.regex(text, /note: jetstream: its load processes always had something to do.*\(put@1\)/);
  t.notRegex(text, /note: ringraft/);
  t.regex(text, /note: JetStream KV has no scans \(ycsb-e@256\)/);
  t.regex(text, /left out: something: not installed/);
});

test('figures in the page are replaced, the rest stays', (t) => {
  const page = `# Title\n\nwords\n\n<!-- figures: written by bench:compare -- --docs -->\nold\n<!-- end of figures -->\n\nmore\n`;
  const figures = figuresOf(comparison(), ['throughput']);
  const once = withFigures(page, figures);
  t.is(withFigures(once, figures), once);
  t.true(once.startsWith('# Title\n\nwords\n') && once.endsWith('<!-- end of figures -->\n\nmore\n'));
  t.false(once.includes('old'));
  t.regex(once, /\| put@1 \| Ringraft \| 1,000 \| 900 to 1,300 \|/);
  t.regex(once, /!\[.*\]\(benchmarks-throughput\.svg\)/);
  t.throws(() => withFigures('# Title', figures), { message: /no place for figures/ });
});

test('the picture has a bar for every figure', async (t) => {
  const svg = (await drawChart(comparison(), 'throughput')) ?? '';
  t.regex(svg, /^<svg /);
  for (const text of ['Ringraft', 'etcd', 'JetStream KV', '1k', '250', '20k']) t.true(svg.includes(`>${text}<`), text);
  t.is(await drawChart({ ...comparison(), workloads: [] }, 'latency'), undefined);
});
