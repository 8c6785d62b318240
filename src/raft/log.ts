/**
 * The log as the core sees it: entries after a snapshot, in memory, with four marks.
 *
 * Invariants:
 * 1. snapshot.index <= applied <= committed <= last index; `committed` and `applied` never fall. While a snapshot is
 *    being installed (`installingIndex`), `applied` and `persisted` may lie before it.
 * 2. persisted <= handedOut <= last index: what is durable here, and what was handed to the host to be made so.
 * 3. Nothing at or below `committed` is ever replaced.
 * 4. `configurations` holds every configuration entry of the log and, first, the snapshot's; ascending by index. The last
 *    of them is `configuration`.
 * 5. The oldest entries may be packed (`PackedEntries`): all of them applied and durable here. `entries` are those after them.
 */
import { assert } from '../base/index.js';
import { decodeConfiguration } from './configuration.js';
import { PackedEntries } from './packed-entries.js';
import { type Configuration, type Entry, EntryType, type RaftInitialState, type SnapshotMetadata } from './types.js';

/** What an entry costs in memory beside its data; rough. */
const entryOverheadBytes = 96;
/** Data from this size on cost more to copy than to keep. */
const largeBytes = 16 * 1024;

/**
 * Entries the host was given to write. `intactTo`: the last of them that was not replaced since; what became durable
 * beyond it is no longer part of this log.
 */
type Write = { readonly lastIndex: number; readonly lastTerm: number; intactTo: number };

const noEntries: readonly Entry[] = [];

type ConfigurationAt = { readonly index: number; readonly configuration: Configuration };

export class RaftLog {
  readonly packed = new PackedEntries();
  private entries: Entry[];
  /** Of all entries that are here. */
  private heldBytes: number;
  private snapshot: SnapshotMetadata;
  private configurations: ConfigurationAt[];
  /** The configuration in force: that of the newest configuration entry, committed or not (thesis §4.1). */
  configuration: Configuration;
  committed: number;
  applied: number;
  /** Durable here, entries and snapshot. */
  persisted: number;
  /** Handed to the host to be made durable. */
  handedOut: number;
  /** Committed entries handed to the host to be applied. */
  handedToApply: number;
  /** Index of the snapshot the host was given to install and that is not durable yet; 0: none. */
  installingIndex = 0;
  /** Writes under way, in the order they were handed out. */
  private writes: Write[] = [];

  constructor(initial: RaftInitialState) {
    this.snapshot = initial.snapshot;
    this.entries = [...initial.entries];
    this.heldBytes = this.dataBytes(this.firstIndex, this.lastIndex);
    this.configurations = [{ index: initial.snapshot.index, configuration: initial.snapshot.configuration }];
    this.configuration = initial.snapshot.configuration;
    for (const entry of this.entries) this.noteConfiguration(entry);
    this.committed = Math.max(initial.hardState.commitIndex, initial.snapshot.index);
    this.applied = initial.appliedIndex;
    this.handedToApply = initial.appliedIndex;
    this.persisted = this.lastIndex;
    this.handedOut = this.lastIndex;
    assert(this.applied >= this.snapshot.index, 'the state is at least the snapshot');
    assert(this.applied <= this.committed, 'only committed entries are applied');
    assert(this.committed <= this.lastIndex, 'a committed entry is in the log');
  }

  /** First index whose entry is here. */
  get firstIndex(): number {
    return this.snapshot.index + 1;
  }

  get lastIndex(): number {
    return this.packedTo + this.entries.length;
  }

  /** The last index that is packed, or forgotten. */
  private get packedTo(): number {
    return this.snapshot.index + this.packed.count;
  }

  get lastTerm(): number {
    return this.entries[this.entries.length - 1]?.term ?? (this.term(this.packedTo) as number);
  }

  /** The term of the entry at `index`; undefined when it is not (or no longer) known. */
  term(index: number): number | undefined {
    const { packedTo } = this;
    if (index > packedTo) return this.entries[index - packedTo - 1]?.term;
    if (index > this.snapshot.index) return this.packed.term(index - this.firstIndex);
    return index === this.snapshot.index ? this.snapshot.term : undefined;
  }

  private get newestConfiguration(): ConfigurationAt {
    return this.configurations[this.configurations.length - 1] as ConfigurationAt;
  }

  /** The index of the entry that `configuration` came from. */
  get configurationIndex(): number {
    return this.newestConfiguration.index;
  }

  /** The configuration in force at an index that is still in the log, or the snapshot's. */
  configurationAt(index: number): Configuration {
    for (let at = this.configurations.length - 1; at > 0; at--) {
      const known = this.configurations[at] as ConfigurationAt;
      if (known.index <= index) return known.configuration;
    }
    return (this.configurations[0] as ConfigurationAt).configuration;
  }

  /** A snapshot of an applied index, by reference. */
  snapshotAt(index: number): SnapshotMetadata {
    const term = this.term(index);
    assert(term !== undefined && index <= this.applied, 'a snapshot is of an applied index that is still known');
    return { index, term, configuration: this.configurationAt(index) };
  }

  get snapshotMetadata(): SnapshotMetadata {
    return this.snapshot;
  }

  /** Entries of [from, to], as many as fit `maxBytes` of data, at least one. */
  slice(from: number, to: number, maxBytes: number): readonly Entry[] {
    let bytes = 0;
    let end = from;
    for (; end <= to; end++) {
      bytes += this.dataBytesAt(end);
      if (bytes > maxBytes && end > from) break;
    }
    const { packedTo, firstIndex } = this;
    if (from > packedTo) return this.entries.slice(from - packedTo - 1, end - packedTo - 1);
    const entries: Entry[] = [];
    for (let index = from; index < Math.min(end, packedTo + 1); index++) {
      entries.push(this.packed.entry(index - firstIndex, index));
    }
    return end > packedTo + 1 ? [...entries, ...this.entries.slice(0, end - packedTo - 1)] : entries;
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'the log has no gaps');
    this.entries.push(entry);
    this.heldBytes += entry.data.length;
    this.noteConfiguration(entry);
  }

  /** Forgets the entries from `index` on: they conflict with the leader's (Raft §5.3). */
  truncateFrom(index: number): void {
    assert(index > this.committed, 'a committed entry is never replaced');
    this.heldBytes -= this.dataBytes(index, this.lastIndex);
    this.entries.length = index - this.packedTo - 1;
    this.persisted = Math.min(this.persisted, index - 1);
    this.handedOut = Math.min(this.handedOut, index - 1);
    for (const write of this.writes) write.intactTo = Math.min(write.intactTo, index - 1);
    while (this.newestConfiguration.index >= index) this.configurations.pop();
    this.configuration = this.newestConfiguration.configuration;
  }

  /** Takes a leader's entries after a point where the logs agree: skips what is here already, replaces conflicts. */
  merge(entries: readonly Entry[]): void {
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at] as Entry;
      const known = this.term(entry.index);
      if (known === entry.term || entry.index <= this.snapshot.index) continue;
      if (known !== undefined) this.truncateFrom(entry.index);
      for (; at < entries.length; at++) this.append(entries[at] as Entry);
    }
  }

  /** A log with this last entry is at least as up to date as ours (Raft §5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  commitTo(index: number): boolean {
    if (index <= this.committed) return false;
    assert(index <= this.lastIndex, () => `commit ${index} lies beyond the end of the log, ${this.lastIndex}`);
    this.committed = index;
    return true;
  }

  /** Everything here is replaced by a snapshot. */
  restore(snapshot: SnapshotMetadata): void {
    assert(snapshot.index > this.committed, 'a snapshot never takes back a commit');
    this.persisted = Math.min(this.persisted, this.committed);
    for (const write of this.writes) write.intactTo = 0;
    this.snapshot = snapshot;
    this.packed.clear();
    this.entries = [];
    this.heldBytes = 0;
    this.configurations = [{ index: snapshot.index, configuration: snapshot.configuration }];
    this.configuration = snapshot.configuration;
    this.committed = snapshot.index;
    this.handedOut = snapshot.index;
    this.handedToApply = snapshot.index;
    this.installingIndex = snapshot.index;
  }

  /** A snapshot was installed and is durable. */
  installed(index: number): void {
    assert(index <= this.committed, 'only a snapshot that was handed out is installed');
    this.persisted = Math.max(this.persisted, index);
    this.applied = Math.max(this.applied, index);
    if (index >= this.installingIndex) this.installingIndex = 0;
  }

  /** Hands out the entries that are to be made durable. */
  takeUnwritten(): readonly Entry[] {
    if (this.handedOut >= this.lastIndex) return noEntries;
    const entries = this.slice(this.handedOut + 1, this.lastIndex, Number.POSITIVE_INFINITY);
    this.handedOut = this.lastIndex;
    this.writes.push({ lastIndex: this.lastIndex, lastTerm: this.lastTerm, intactTo: this.lastIndex });
    return entries;
  }

  /**
   * The write that ended with (index, term) is durable, and every earlier one. (index, term) alone does not name a
   * state of the disk: the same entry may have been written, replaced, and be on its way again, with the replacement
   * still to reach the disk first (RAFT-PITFALLS 12). So each write is known by its place in the order, and for what
   * it wrote and was since replaced it stands for nothing. Whether `persisted` rose.
   */
  writtenTo(index: number, term: number): boolean {
    let known = this.persisted;
    for (let at = 0; at < this.writes.length; at++) {
      const write = this.writes[at] as Write;
      known = Math.max(known, write.intactTo);
      if (write.lastIndex !== index || write.lastTerm !== term) continue;
      this.writes.splice(0, at + 1);
      const isNews = known > this.persisted;
      this.persisted = known;
      return isNews;
    }
    return false;
  }

  /** Hands out what may be applied: committed, and durable here. */
  takeApplicable(): readonly Entry[] {
    const last = this.applicableIndex;
    if (this.handedToApply >= last) return noEntries;
    const entries = this.slice(this.handedToApply + 1, last, Number.POSITIVE_INFINITY);
    this.handedToApply = last;
    return entries;
  }

  get applicableIndex(): number {
    return Math.min(this.committed, this.persisted);
  }

  appliedTo(index: number): void {
    assert(index <= this.handedToApply, 'only what was handed out to be applied is applied');
    this.applied = Math.max(this.applied, index);
  }

  /** Sum of the data of the entries of [from, to]. */
  dataBytes(from: number, to: number): number {
    let bytes = 0;
    for (let index = from; index <= to; index++) bytes += this.dataBytesAt(index);
    return bytes;
  }

  private dataBytesAt(index: number): number {
    const { packedTo } = this;
    if (index <= packedTo) return this.packed.dataBytesOf(index - this.firstIndex);
    return (this.entries[index - packedTo - 1] as Entry).data.length;
  }

  /**
   * Keeps the entries up to `index` as bytes, or up to the first that is large; they are in the log as before. For those that
   * nobody is likely to ask for: what is read of them is copied.
   */
  pack(index: number): void {
    assert(index <= this.applied && index <= this.persisted, 'only what is applied and durable is packed');
    const most = index - this.packedTo;
    let count = 0;
    for (; count < most; count++) {
      const entry = this.entries[count] as Entry;
      if (entry.data.length >= largeBytes) break;
      this.packed.push(entry);
    }
    if (count > 0) this.entries = this.entries.slice(count);
  }

  /** Forgets the entries up to `index`. */
  compact(index: number): void {
    if (index <= this.snapshot.index) return;
    assert(index <= this.applied && index <= this.persisted, 'only what is applied and durable is forgotten');
    const snapshot = this.snapshotAt(index);
    this.heldBytes -= this.dataBytes(this.firstIndex, index);
    const packed = Math.min(index - this.snapshot.index, this.packed.count);
    if (index > this.packedTo) this.entries = this.entries.slice(index - this.packedTo);
    this.packed.dropFirst(packed);
    this.configurations = [
      { index, configuration: snapshot.configuration },
      ...this.configurations.filter((known) => known.index > index),
    ];
    this.snapshot = snapshot;
  }

  /** The first index such that the entries from it on hold at most `maxBytes`, with what they cost beside their data. */
  indexForTrailingBytes(maxBytes: number): number {
    let index = this.firstIndex;
    let bytes = this.heldBytes + entryOverheadBytes * (this.lastIndex - index + 1);
    for (; bytes > maxBytes; index++) bytes -= this.dataBytesAt(index) + entryOverheadBytes;
    return index;
  }

  private noteConfiguration(entry: Entry): void {
    if (entry.type !== EntryType.Configuration) return;
    this.configuration = decodeConfiguration(entry.data);
    this.configurations.push({ index: entry.index, configuration: this.configuration });
  }
}
