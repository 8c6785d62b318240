/**
 * All workloads by name. Names are `put@256`, `put@256/4KiB`, `stale-get@16`, `ycsb-a@256`, `batch-put@16`,
 * `shards-64/get@256`, `keys/load`; a family (`put`, `sizes`, `ycsb`, `ycsb-a`, `shards-64`...) means all of its own.
 */
import { RingraftError } from '../base/index.js';
import { formatSize, parseSize } from '../cli/index.js';
import { batchKeys, type Dataset, type KeyChoice, longestScan, type OperationKind, type Workload } from './workload.js';

const inFlights = [1, 16, 64, 256, 1024] as const;
const sizes = [16, 256, 4096, 65_536] as const;
const usualBytes = 256;
const usualInFlight = 256;
const batchesInFlight = 16;
const shardCounts = [1, 16, 64, 256, 512] as const;
const mostInFlight = 4096;
const largestValue = 512 * 1024;

/** Large values have fewer keys, so that a dataset is at most so large. */
const datasetBytes = 64 * 1024 * 1024;
const usualRecords = 100_000;
const ycsbRecords = 100_000;
/** YCSB's ten fields of 100 bytes, as one value. */
const ycsbBytes = 1000;

export type CatalogueOptions = {
  /** Keys of the family `keys`. */
  readonly manyKeys: number;
  /** Keys of all other datasets, at most. */
  readonly records: number;
};

export const usualOptions: CatalogueOptions = { manyKeys: 1_000_000, records: usualRecords };

const datasetOf = (valueBytes: number, { records }: CatalogueOptions): Dataset => ({
  prefix: `v${valueBytes}`,
  records: Math.min(records, Math.floor(datasetBytes / valueBytes)),
  valueBytes,
});

type Single = { readonly kind: OperationKind; readonly level: Workload['level']; readonly words: string };
const singles: Readonly<Record<string, Single>> = {
  put: { kind: 'update', level: 'linearizable', words: 'one key overwritten' },
  get: { kind: 'read', level: 'linearizable', words: 'one key read, linearizable' },
  'stale-get': { kind: 'read', level: 'stale', words: 'one key read from any replica' },
};
const batches: Readonly<Record<string, OperationKind>> = { 'batch-put': 'batch-put', 'batch-get': 'batch-get' };

type Mix = { readonly mix: Workload['mix']; readonly keys: KeyChoice; readonly words: string };
const ycsb: Readonly<Record<string, Mix>> = {
  'ycsb-a': {
    mix: [
      ['read', 0.5],
      ['update', 0.5],
    ],
    keys: 'zipfian',
    words: '50 % reads, 50 % updates',
  },
  'ycsb-b': {
    mix: [
      ['read', 0.95],
      ['update', 0.05],
    ],
    keys: 'zipfian',
    words: '95 % reads, 5 % updates',
  },
  'ycsb-c': { mix: [['read', 1]], keys: 'zipfian', words: 'reads' },
  'ycsb-f': {
    mix: [
      ['read', 0.5],
      ['read-modify-write', 0.5],
    ],
    keys: 'zipfian',
    words: '50 % reads, 50 % read-modify-write',
  },
  'ycsb-d': {
    mix: [
      ['read', 0.95],
      ['insert', 0.05],
    ],
    keys: 'latest',
    words: '95 % reads of the latest, 5 % inserts',
  },
  'ycsb-e': {
    mix: [
      ['scan', 0.95],
      ['insert', 0.05],
    ],
    keys: 'zipfian',
    words: `95 % scans of 1 to ${longestScan}, 5 % inserts`,
  },
};

const sizeText = (bytes: number): string => (bytes === usualBytes ? '' : `/${formatSize(bytes)}`);

function singleOf(operation: string, inFlight: number, valueBytes: number, options: CatalogueOptions): Workload {
  const { kind, level, words } = singles[operation] as Single;
  return {
    name: `${operation}@${inFlight}${sizeText(valueBytes)}`,
    family: operation,
    describe: `${words}, values of ${formatSize(valueBytes)}, ${inFlight} in flight`,
    mix: [[kind, 1]],
    level,
    keys: 'uniform',
    inFlight,
    dataset: datasetOf(valueBytes, options),
  };
}

function batchOf(operation: string, inFlight: number, options: CatalogueOptions): Workload {
  const kind = batches[operation] as OperationKind;
  const describe = `${batchKeys} keys at once, ${inFlight} batches in flight; figures are keys a second`;
  const rest = { level: 'linearizable', keys: 'uniform', inFlight, dataset: datasetOf(usualBytes, options) } as const;
  return { name: `${operation}@${inFlight}`, family: 'batch', describe, mix: [[kind, 1]], ...rest };
}

function ycsbOf(letter: string, inFlight: number, { records }: CatalogueOptions): Workload {
  const { mix, keys, words } = ycsb[letter] as Mix;
  const dataset = { prefix: 'ycsb', records: Math.min(records, ycsbRecords), valueBytes: ycsbBytes };
  const describe = `${words}; values of ${ycsbBytes} bytes, ${inFlight} in flight`;
  return {
    name: `${letter}@${inFlight}`,
    family: 'ycsb',
    describe,
    mix,
    level: 'linearizable',
    keys,
    inFlight,
    dataset,
  };
}

const shardedOf = (shards: number, base: Workload): Workload => ({
  ...base,
  name: `shards-${shards}/${base.name}`,
  family: 'shards',
  describe: `${base.describe}, ${shards} shards`,
  shards,
});

function keysOf({ manyKeys }: CatalogueOptions): readonly Workload[] {
  const dataset = { prefix: 'many', records: manyKeys, valueBytes: usualBytes };
  const read = singleOf('get', usualInFlight, usualBytes, { manyKeys, records: manyKeys });
  const count = manyKeys.toLocaleString('en-US');
  return [
    {
      ...read,
      name: 'keys/load',
      family: 'keys',
      describe: `${count} new keys loaded in batches of ${batchKeys}; figures are keys a second`,
      mix: [],
      inFlight: batchesInFlight,
      dataset,
    },
    { ...read, name: `keys/${read.name}`, family: 'keys', describe: `${read.describe}, ${count} keys`, dataset },
  ];
}

/** Everything, in the order in which it is measured. */
export function catalogue(options: CatalogueOptions = usualOptions): readonly Workload[] {
  const operations = Object.keys(singles);
  const byInFlight = operations.flatMap((name) => inFlights.map((count) => singleOf(name, count, usualBytes, options)));
  const bySize = operations.flatMap((name) =>
    sizes.filter((bytes) => bytes !== usualBytes).map((bytes) => singleOf(name, usualInFlight, bytes, options)),
  );
  return [
    ...byInFlight,
    ...bySize,
    ...Object.keys(batches).map((name) => batchOf(name, batchesInFlight, options)),
    ...Object.keys(ycsb).map((letter) => ycsbOf(letter, usualInFlight, options)),
    ...shardCounts.flatMap((shards) =>
      ['put', 'get'].map((name) => shardedOf(shards, singleOf(name, usualInFlight, usualBytes, options))),
    ),
    ...keysOf(options),
  ];
}

/** Every size with every number in flight; where one of them is the usual one it is in the catalogue already. */
const matrix = (options: CatalogueOptions): readonly Workload[] =>
  Object.keys(singles).flatMap((name) =>
    sizes.flatMap((bytes) => inFlights.map((count) => singleOf(name, count, bytes, options))),
  );

const quickNames = ['put@1', 'put@256', 'get@256', 'batch-put@16', 'ycsb-a@256', 'ycsb-b@256'] as const;

/** Those meant by the names and families of `--only`, each once, in the order of the catalogue where they are in it. */
export function chosenWorkloads(
  only: readonly string[] | undefined,
  isQuick: boolean,
  options: CatalogueOptions = usualOptions,
): readonly Workload[] {
  const known = catalogue(options);
  const names = only ?? (isQuick ? quickNames : ['all']);
  const chosen = new Map(names.flatMap((name) => meantBy(name, known, options)).map((one) => [one.name, one]));
  const rank = new Map(known.map(({ name }, at) => [name, at]));
  const rankOf = ({ name }: Workload): number => rank.get(name) ?? known.length;
  return [...chosen.values()].sort((a, b) => rankOf(a) - rankOf(b));
}

function meantBy(name: string, known: readonly Workload[], options: CatalogueOptions): readonly Workload[] {
  if (name === 'all') return known;
  if (name === 'matrix') return matrix(options);
  if (name === 'sizes') return known.filter((one) => one.family in singles && one.inFlight === usualInFlight);
  const exact = known.filter((one) => one.name === name);
  if (exact.length > 0) return exact;
  const family = known.filter((one) => isOfFamily(one, name));
  return family.length > 0 ? family : [namedWorkload(name, options)];
}

/** By its family, or by what stands before the first `@` or `/`; sizes other than the usual are not among `put`. */
const isOfFamily = ({ name, family }: Workload, wanted: string): boolean =>
  wanted in singles ? family === wanted && !name.includes('/') : family === wanted || name.split(/[@/]/)[0] === wanted;

/** One that is not in the catalogue: `put@64/4KiB`, `ycsb-a@16`, `shards-8/get@64`. */
function namedWorkload(name: string, options: CatalogueOptions): Workload {
  const sharded = /^shards-(\d+)\/(.+)$/.exec(name);
  if (sharded !== null) {
    const shards = countOf(sharded[1] as string, name, 4096);
    return shardedOf(shards, namedWorkload(sharded[2] as string, options));
  }
  const [, operation = '', count = '', size] = /^([a-z-]+)@(\d+)(?:\/(.+))?$/.exec(name) ?? [];
  const inFlight = operation === '' ? 0 : countOf(count, name, mostInFlight);
  if (Object.hasOwn(singles, operation)) {
    const bytes = size === undefined ? usualBytes : parseSize(size);
    if (bytes < 1 || bytes > largestValue) throw unknown(name, `values have 1 to ${largestValue} bytes`);
    return singleOf(operation, inFlight, bytes, options);
  }
  if (Object.hasOwn(batches, operation) && size === undefined) return batchOf(operation, inFlight, options);
  if (Object.hasOwn(ycsb, operation) && size === undefined) return ycsbOf(operation, inFlight, options);
  throw unknown(name, '--list shows what there is');
}

function countOf(text: string, name: string, most: number): number {
  const value = Number(text);
  if (value >= 1 && value <= most) return value;
  throw unknown(name, `a number of 1 to ${most} is wanted`);
}

const unknown = (name: string, why: string): RingraftError =>
  new RingraftError('BAD_REQUEST', `--only: there is no workload ${name}: ${why}`);
