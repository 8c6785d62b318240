/**
 * What this node says of itself.
 *
 * Invariants:
 * 1. Life never changes; refutation, heartbeat and version of facts never fall.
 * 2. It is alive until it leaves, and then it has left for good: whatever else is said of this life is contradicted.
 */
import { assert } from '../../base/index.js';
import type { NodeFacts } from '../../wire/index.js';
import { largestRefutation, readFacts } from './message.js';
import { compareStanding, type MemberRecord } from './record.js';

export class OwnRecord {
  record: MemberRecord;
  /** Told in every message, at once. */
  mapEpoch = 0;
  private waiting: NodeFacts | undefined;
  private factsSinceMs = Number.NEGATIVE_INFINITY;

  constructor(
    nodeId: MemberRecord['nodeId'],
    life: number,
    private readonly factsIntervalMs: number,
  ) {
    this.record = {
      nodeId,
      life,
      refutation: 0,
      state: 'alive',
      accusers: [],
      heartbeat: 1,
      factsVersion: 0,
      facts: undefined,
    };
  }

  beat(): void {
    this.record = { ...this.record, heartbeat: this.record.heartbeat + 1 };
  }

  leave(): void {
    this.record = { ...this.record, state: 'left' };
  }

  /** The facts as given wait until `publishFacts`. */
  setFacts(facts: NodeFacts): void {
    const read = readFacts(facts);
    // Others would drop every message that carries them.
    assert(read !== undefined, () => `facts that no node would read: ${JSON.stringify(facts)}`);
    this.mapEpoch = read.mapEpoch;
    this.waiting = JSON.stringify(read) === JSON.stringify(this.record.facts) ? undefined : read;
  }

  /** Gives the waiting facts a version, unless the last are too young. True: there is something to spread. */
  publishFacts(nowMs: number): boolean {
    if (this.waiting === undefined || nowMs - this.factsSinceMs < this.factsIntervalMs) return false;
    this.record = { ...this.record, factsVersion: this.record.factsVersion + 1, facts: this.waiting };
    this.waiting = undefined;
    this.factsSinceMs = nowMs;
    return true;
  }

  /** Answers what is said of this life. True: it had to be contradicted. */
  answer(news: MemberRecord): boolean {
    const { record } = this;
    if (news.life !== record.life || compareStanding(news, record) <= 0) return false;
    const refutation = news.state === record.state ? news.refutation : news.refutation + 1;
    this.record = { ...record, refutation: Math.min(refutation, largestRefutation) };
    return true;
  }
}
