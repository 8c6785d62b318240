/** What is asked of every system alike: kinds of operations, how many in flight, over which keys. */

export const operationKinds = [
  'read',
  'update',
  'insert',
  'scan',
  'read-modify-write',
  'batch-put',
  'batch-get',
] as const;
export type OperationKind = (typeof operationKinds)[number];

/** Linearizable, or from whatever replica is nearest. */
export type ReadLevel = 'linearizable' | 'stale';

/** How keys are chosen: all alike, few of them most often (YCSB, 0.99), or the newest most often. */
export type KeyChoice = 'uniform' | 'zipfian' | 'latest';

/** Keys `prefix/0` to `prefix/<records - 1>`, each with a value of the same length. */
export type Dataset = { readonly prefix: string; readonly records: number; readonly valueBytes: number };

export type Workload = {
  /** What `--only` takes. */
  readonly name: string;
  readonly family: string;
  readonly describe: string;
  /** Shares of kinds of operations; they add up to 1. Empty: the dataset is loaded, and that is what is measured. */
  readonly mix: readonly (readonly [kind: OperationKind, share: number])[];
  readonly level: ReadLevel;
  readonly keys: KeyChoice;
  readonly inFlight: number;
  readonly dataset: Dataset;
  /** Undefined: as many as the run was asked for. */
  readonly shards?: number;
};

/** Of `batch-put` and `batch-get`; keys of a batch are distinct. */
export const batchKeys = 100;

/** A scan reads 1 to so many items (YCSB E). */
export const longestScan = 100;

export const keyOf = ({ prefix }: Dataset, number: number): string => `${prefix}/${String(number).padStart(9, '0')}`;

export const kindsOf = ({ mix }: Workload): readonly OperationKind[] => mix.map(([kind]) => kind);

export const isLoading = ({ mix }: Workload): boolean => mix.length === 0;
