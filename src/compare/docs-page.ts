/** docs/benchmarks.md: what stands between its two marks is written here, the rest by people. */
import { RingraftError } from '../base/index.js';
import { formatCount } from '../cli/index.js';
import type { Figure } from './charts.js';
import { notesOf, shownMs, shownTimes } from './report.js';
import type { Comparison, Meta, SystemResult, WorkloadResult } from './results.js';

export const beginMark = '<!-- figures: written by bench:compare -- --docs -->';
export const endMark = '<!-- end of figures -->';

const familyTitles: Readonly<Record<string, string>> = {
  put: 'Puts',
  get: 'Linearizable gets',
  'stale-get': 'Gets from any replica',
  batch: 'Batches of 100 keys',
  ycsb: 'YCSB',
  shards: 'Numbers of shards',
  keys: 'Many keys',
};

/** The page with its figures replaced. */
export function withFigures(page: string, figures: string): string {
  const [from, to] = [page.indexOf(beginMark), page.indexOf(endMark)];
  if (from < 0 || to < from) throw new RingraftError('BAD_REQUEST', `the page has no place for figures (${beginMark})`);
  return `${page.slice(0, from + beginMark.length)}\n\n${figures.trim()}\n\n${page.slice(to)}`;
}

export function figuresOf({ meta, workloads }: Comparison, pictures: readonly Figure[]): string {
  const families = [...new Set(workloads.map(({ family }) => family))];
  const images = pictures.map((figure) => `![${figure} of each workload and system](benchmarks-${figure}.svg)`);
  return [
    measuredOn(meta),
    ...images,
    ...families.map((family) => {
      const own = workloads.filter((one) => one.family === family && Object.keys(one.results).length > 0);
      return own.length === 0 ? '' : `### ${familyTitles[family] ?? family}\n\n${tableOf(meta, own)}`;
    }),
    ...notesOf(workloads).map((text) => `- ${text}`),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .replace(/\n\n- /g, '\n- ')
    .replace(/\n- /, '\n\n- ');
}

function measuredOn({ machine, command, date, systems, repeats, seconds, shards, skipped }: Meta): string {
  const { processor, cores, memoryGb, system, disk, node } = machine;
  const titles = systems.map(({ title, version }) => `${title} ${version}`);
  const out = skipped.length === 0 ? '' : ` Left out: ${skipped.join('; ')}.`;
  return `\`${command}\` on ${date}: ${processor}, ${cores} cores, ${memoryGb} GB, ${system}, ${disk}, Node ${node}. ${titles.join(', ')}.
Medians of ${repeats} interleaved ${repeats === 1 ? 'repeat' : 'repeats'} of ${seconds} s; Ringraft with ${shards} shards.${out}`;
}

function tableOf({ systems }: Meta, workloads: readonly WorkloadResult[]): string {
  const shown = systems.filter(({ name }) => workloads.some(({ results }) => results[name] !== undefined));
  const heads = [
    'workload',
    'system',
    'a second',
    'min to max',
    'p50 ms',
    'p99 ms',
    'Ringraft is',
    'server us',
    'servers',
    'clients',
  ];
  const rows = workloads.flatMap(({ workload, results, ratios }) =>
    shown.flatMap(({ name, title }) => {
      const result = results[name];
      return result === undefined ? [] : [rowOf(workload, title, result, ratios[name]?.throughput)];
    }),
  );
  const isLoad = workloads.some(({ workload }) => workload === 'keys/load');
  const memory = isLoad ? `\n\n${memoryOf(workloads, shown)}` : '';
  return (
    [`| ${heads.join(' | ')} |`, `|${heads.map((_, at) => (at < 2 ? '---|' : '--:|')).join('')}`, ...rows].join('\n') +
    memory
  );
}

function rowOf(workload: string, title: string, result: SystemResult, ratio: number | undefined): string {
  const { perSecond, p50Ms, p99Ms, range, serverMicrosPerOperation, serverCores, clientCores } = result;
  const [min, max] = range.perSecond;
  const cells = [
    workload,
    title,
    formatCount(perSecond),
    `${formatCount(min)} to ${formatCount(max)}`,
    shownMs(p50Ms),
    shownMs(p99Ms),
    shownTimes(ratio),
    serverMicrosPerOperation.toFixed(0),
    serverCores.toFixed(2),
    clientCores.toFixed(2),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Of every process, once the keys are loaded. */
function memoryOf(workloads: readonly WorkloadResult[], systems: Meta['systems']): string {
  const loaded = workloads.find(({ workload }) => workload === 'keys/load');
  const lines = systems.flatMap(({ name, title }) => {
    const last = loaded?.results[name]?.repeats.at(-1);
    if (last === undefined) return [];
    const each = Object.entries(last.residentMb).map(([server, megabytes]) => `${server} ${megabytes}`);
    return [`${title}: ${each.join(', ')} MB`];
  });
  return `Resident memory after loading: ${lines.join('; ')}.`;
}
