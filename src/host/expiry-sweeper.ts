/**
 * Takes back the room of keys whose time to live is over. They are invisible from that moment on, everywhere; this is about
 * space alone, and in no hurry.
 *
 * Invariants:
 * 1. Only a leader has keys of its shards reclaimed, by a command in the log: every replica removes the same. Whether the
 *    key is still expired is decided when that command is applied.
 * 2. One round of commands is under way at a time, of at most `mostPerRound` keys.
 */
import type { Clock, ShardId, Timer } from '../base/index.js';
import type { ExpiredKey, Store } from '../kv/index.js';
import { ringHash } from '../ring/index.js';
import { type Command, CommandKind, encodeCommandBatch, ownCommand } from '../wire/index.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';

const everyMs = 1000;
/** There is more to do. */
const soonMs = 20;
const mostPerRound = 512;
/** A command whose fate is not known by then is not waited for. */
const patienceMs = 10_000;

export type ExpirySweeperParts = {
  readonly clock: Clock;
  readonly store: Store;
  readonly maps: LocalMap;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  readonly mark: (group: Group) => void;
  readonly onFatal: (error: unknown) => void;
};

export class ExpirySweeper {
  private timer: Timer | undefined;
  private stopped = false;
  /** Commands of this round whose fate is open. */
  private open = 0;
  private roundEndsMs = 0;
  /** Where the next round begins; behind what others lead and have not come to yet. */
  private after: Buffer | undefined;
  reclaimed = 0;

  constructor(private readonly parts: ExpirySweeperParts) {}

  start(): void {
    this.schedule(everyMs);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private schedule(afterMs: number): void {
    if (!this.stopped) this.timer = this.parts.clock.after(afterMs, () => this.round());
  }

  private round(): void {
    const { clock, store, onFatal } = this.parts;
    if (this.open > 0 && clock.nowMs() < this.roundEndsMs) {
      this.schedule(soonMs);
      return;
    }
    store.expired(clock.wallMs(), this.after, mostPerRound).then(
      (keys) => {
        if (this.stopped) return;
        this.reclaim(keys);
        const isFull = keys.length === mostPerRound;
        this.after = isFull ? keys.at(-1)?.hint : undefined;
        this.schedule(isFull ? soonMs : everyMs);
      },
      (error: unknown) => onFatal(error),
    );
  }

  private reclaim(keys: readonly ExpiredKey[]): void {
    const { maps, groupOf, store, clock } = this.parts;
    const commands = new Map<Group, Command[]>();
    const strays: ExpiredKey[] = [];
    for (const expired of keys) {
      const group = groupOf(maps.shardAt(ringHash(expired.key)));
      if (group === undefined) strays.push(expired);
      if (group === undefined || !group.raft.isLeader || group.installing) continue;
      const known = commands.get(group);
      if (known === undefined) commands.set(group, [reclaimOf(expired)]);
      else known.push(reclaimOf(expired));
    }
    if (strays.length > 0) store.dropExpired(strays);
    this.roundEndsMs = clock.nowMs() + patienceMs;
    for (const [group, some] of commands) this.propose(group, some);
  }

  private propose(group: Group, commands: Command[]): void {
    const { clock, mark } = this.parts;
    const data = encodeCommandBatch({ timeStampMs: clock.wallMs(), sessions: [], commands });
    const proposed = group.raft.propose(data);
    if (typeof proposed === 'string') return;
    this.open++;
    const settle = (): void => {
      this.open--;
      this.reclaimed += commands.length;
    };
    group.proposals.push({ index: proposed.index, term: proposed.term, operations: [], settle });
    mark(group);
  }
}

const reclaimOf = ({ bucketId, key, expiresAtMs }: ExpiredKey): Command =>
  ownCommand(CommandKind.Reclaim, bucketId, key, { expiresAtMs });
