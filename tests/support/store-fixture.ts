/** A state machine over the engine in memory, with short ways to make entries. */
import { bucketId, replicaId, type ShardId, shardId, systemClock } from '../../src/base/index.js';
// Not through the folder's index: that would load the native engines into every test that only needs this one.
import { type MemoryEngine, memoryEngine } from '../../src/engine/memory-engine.js';
import {
  type AppliedEntry,
  type ReadValue,
  type ScanPageResult,
  type ScanQuery,
  type SnapshotFiles,
  Store,
  type StoreOptions,
} from '../../src/kv/index.js';
import { SystemKind } from '../../src/kv/keys.js';
import { type Configuration, type Entry, EntryType } from '../../src/raft/index.js';
import { initHash, ringSize } from '../../src/ring/index.js';
import { type Command, CommandKind, ConditionKind, encodeCommandBatch } from '../../src/wire/index.js';

export const bucket = bucketId(1);
const expiryTag = 0x78;
export const theShard: ShardId = shardId(1);
export const wholeRing = { start: 0, end: ringSize };
export const configuration: Configuration = {
  voters: [replicaId(1), replicaId(2)],
  outgoing: [],
  learners: [],
  learnersNext: [],
};
const nothing = Buffer.alloc(0);
const isSystem = (key: Buffer, kind: SystemKind): boolean => key[0] === 0x73 && key[3] === kind;

export type CommandSpec = {
  /** 1 unless told. */
  readonly bucketId?: number;
  /** The bucket is dropped, whatever else stands here. */
  readonly drop?: true;
  readonly key: string;
  /** undefined: delete. */
  readonly value?: string | undefined;
  readonly absent?: boolean;
  readonly ifRevision?: number | undefined;
  readonly ifValue?: string | undefined;
  readonly expiresAtMs?: number;
  readonly sequence?: number;
  /** Default: a put, or a delete where there is no value. */
  readonly kind?: CommandKind;
  readonly maxValueBytes?: number;
};

const kindOf = ({ kind, drop, value }: CommandSpec): CommandKind => {
  if (drop === true) return CommandKind.DropBucket;
  return kind ?? (value === undefined ? CommandKind.Delete : CommandKind.Put);
};

export function command(spec: CommandSpec): Command {
  const { key, value, ifRevision, ifValue, sequence } = spec;
  let condition: ConditionKind = ConditionKind.None;
  if (spec.absent === true) condition = ConditionKind.Absent;
  else if (ifRevision !== undefined) condition = ConditionKind.Revision;
  else if (ifValue !== undefined) condition = ConditionKind.Value;
  return {
    kind: kindOf(spec),
    bucketId: bucketId(spec.bucketId ?? bucket),
    key: Buffer.from(key, 'latin1'),
    value: Buffer.from(value ?? '', 'latin1'),
    condition,
    expectedRevision: ifRevision ?? 0,
    expectedValue: Buffer.from(ifValue ?? '', 'latin1'),
    expiresAtMs: spec.expiresAtMs ?? 0,
    session: sequence === undefined ? 0 : 1,
    sequence: sequence ?? 0,
    maxValueBytes: spec.maxValueBytes ?? 0,
  };
}

export type EntrySpec = {
  readonly timeMs?: number;
  /** Eight characters. */
  readonly client?: string;
  readonly ackedBelow?: number;
  readonly commands: readonly CommandSpec[];
};

export const entryAt = (index: number, { timeMs, client, ackedBelow, commands }: EntrySpec): Entry => ({
  index,
  term: 1,
  type: EntryType.Normal,
  data: encodeCommandBatch({
    timeStampMs: timeMs ?? 1000,
    sessions: client === undefined ? [] : [{ clientId: client, ackedBelow: ackedBelow ?? 0 }],
    commands: commands.map(command),
  }),
});

/** Staged snapshots in memory. */
export class MemoryFiles implements SnapshotFiles {
  readonly staged = new Map<string, Buffer>();
  private number = 0;

  async create(id: ShardId) {
    const path = `shard-${id}-${++this.number}`;
    const pieces: Buffer[] = [];
    return {
      append: async (bytes: Buffer) => {
        pieces.push(bytes);
      },
      finish: async () => {
        this.staged.set(path, Buffer.concat(pieces));
        return { path };
      },
      abandon: async () => {},
    };
  }

  async read(path: string): Promise<AsyncIterable<Buffer> | undefined> {
    const bytes = this.staged.get(path);
    if (bytes === undefined) return undefined;
    return (async function* () {
      for (let at = 0; at < bytes.length; at += 37) yield bytes.subarray(at, at + 37);
    })();
  }

  async remove(path: string): Promise<void> {
    this.staged.delete(path);
  }
}

export class StoreFixture {
  readonly files = new MemoryFiles();
  readonly failures: Error[] = [];
  nextIndex = 1;

  private constructor(
    readonly engine: MemoryEngine,
    public store: Store,
    private readonly options: Partial<StoreOptions>,
  ) {}

  static async start(options: Partial<StoreOptions> = {}, engine = memoryEngine()): Promise<StoreFixture> {
    await initHash();
    const fixture = new StoreFixture(engine, undefined as unknown as Store, options);
    await fixture.open();
    return fixture;
  }

  private async open(): Promise<number> {
    await this.engine.open();
    this.store = await Store.open(this.engine, {
      clock: systemClock,
      cacheBytes: 100_000,
      files: this.files,
      onFailure: (error) => this.failures.push(error),
      ...this.options,
    });
    const position = await this.store.openShard(theShard, wholeRing);
    if (position.appliedIndex === 0 && !position.needsSnapshot) this.store.createShard(theShard, configuration);
    this.nextIndex = position.appliedIndex + 1;
    return position.appliedIndex;
  }

  /** A new process over the same engine; gives the applied index. */
  restart(): Promise<number> {
    return this.open();
  }

  applyEntries(entries: readonly Entry[]): Promise<readonly AppliedEntry[]> {
    return new Promise((resolve) => this.store.apply(theShard, entries, resolve));
  }

  /** Applies one entry; gives its outcomes. */
  async apply(spec: EntrySpec): Promise<AppliedEntry['outcomes']> {
    const [applied] = await this.applyEntries([entryAt(this.nextIndex++, spec)]);
    return (applied as AppliedEntry).outcomes;
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.store.syncMarker((error) => (error ? reject(error) : resolve()));
    });
  }

  read(key: string, nowMs = 1000): Promise<ReadValue> {
    return new Promise((resolve, reject) => {
      const keys = [{ bucketId: bucket, key: Buffer.from(key, 'latin1') }];
      this.store.getMany(keys, nowMs, (error, [value]) => (error ? reject(error) : resolve(value)));
    });
  }

  async text(key: string, nowMs = 1000): Promise<string | undefined> {
    return (await this.read(key, nowMs))?.value.toString('latin1');
  }

  scan(query: Partial<ScanQuery> = {}): Promise<ScanPageResult> {
    const whole: ScanQuery = {
      gte: nothing,
      lt: undefined,
      reverse: false,
      keysOnly: false,
      limit: 10_000,
      maxBytes: 1_000_000,
      accept: () => true,
      share: 1,
      nowMs: 1000,
    };
    return new Promise((resolve, reject) => {
      this.store.scan(bucket, { ...whole, ...query }, (error, page) => (error ? reject(error) : resolve(page)));
    });
  }

  /**
   * The engine's pairs, the sync marker and hints left out, and the records of outcomes as one: how many entries are in each
   * depends on when batches were written.
   */
  dump(): readonly string[] {
    const pairs = this.engine.dump().filter(([key]) => !isSystem(key, SystemKind.Marker) && key[0] !== expiryTag);
    const outcomes = pairs.filter(([key]) => isSystem(key, SystemKind.Outcomes)).map(([, value]) => value);
    const others = pairs.filter(([key]) => !isSystem(key, SystemKind.Outcomes));
    const lines = others.map(([key, value]) => `${key.toString('hex')}=${value.toString('hex')}`);
    return outcomes.length === 0 ? lines : [...lines, `outcomes=${Buffer.concat(outcomes).toString('hex')}`];
  }

  /** The records of outcomes, with the index of the last entry in each. */
  get outcomeRecords(): readonly { readonly index: number; readonly bytes: Buffer }[] {
    const records = this.engine.dump().filter(([key]) => isSystem(key, SystemKind.Outcomes));
    return records.map(([key, bytes]) => ({ index: key.readUIntBE(4, 6), bytes }));
  }

  /** How many keys are noted with the time they expire; such notes may outlive what they are about. */
  get expiryHints(): number {
    return this.engine.dump().filter(([key]) => key[0] === expiryTag).length;
  }

  /** Takes a snapshot and stages it in `to`; gives its path and what it is. */
  async stageSnapshot(to: MemoryFiles = this.files, chunkBytes = 100) {
    const source = await this.store.createSnapshot(theShard);
    const file = await to.create(theShard);
    for (;;) {
      const chunk = await source.nextChunk(chunkBytes);
      if (chunk === undefined) break;
      await file.append(chunk);
    }
    await source.close();
    const { path } = await file.finish();
    const { appliedIndex, appliedTerm, configuration: inForce } = source.position;
    return { path, metadata: { index: appliedIndex, term: appliedTerm, configuration: inForce } };
  }
}
