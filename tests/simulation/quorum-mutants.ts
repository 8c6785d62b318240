/** Leaders that ask nobody, switched on by name; see `mutants.ts`. Real processes can have these, too (`tests/chaos`). */

import { Core } from '../../src/raft/core.js';
import { Raft } from '../../src/raft/index.js';
import type { AppendRequest, Message } from '../../src/raft/types.js';

const coreOf = (raft: Raft): Core => Reflect.get(raft, 'core') as Core;

/**
 * Whoever takes itself for the leader answers reads at once. And it goes on doing so for as long as it hears of no other
 * leader: the check of the quorum would end that soon, and hide the bug nearly always.
 */
function readWithoutQuorum(): void {
  Raft.prototype.readIndex = function (this: Raft, context: unknown) {
    if (!this.isLeader) return 'notLeader';
    const core = coreOf(this);
    core.noteActivity();
    core.readStates.push({ context, index: core.log.committed });
    return 'queued';
  };
  const { tick } = Raft.prototype;
  Raft.prototype.tick = function (this: Raft, nowMs: number) {
    const core = coreOf(this);
    if (core.role === 'leader') core.quorumCheckDueMs = Number.POSITIVE_INFINITY;
    tick.call(this, nowMs);
  };
}

/**
 * Whether the message shows that an entry which is committed here is another one there; or could only be answered by
 * claiming more than its sender has.
 */
function contradicts(core: Core, { prevIndex, prevTerm, entries }: AppendRequest): boolean {
  const { log } = core;
  if (prevIndex + entries.length < log.committed) return true;
  const pairs = [{ index: prevIndex, term: prevTerm }, ...entries];
  return pairs.some(({ index, term }) => index <= log.committed && (log.term(index) ?? term) !== term);
}

/**
 * What is on the leader's own disk counts as committed, and is acknowledged. A replica that has committed so what nobody
 * else has stays silent afterwards: any answer would stop its leader, and with it whoever looks for the lost write.
 */
function acknowledgedAfterOne(): void {
  Core.prototype.maybeCommit = function (this: Core) {
    const index = this.log.persisted;
    if (index <= this.log.committed || this.log.term(index) !== this.currentTerm) return;
    const first = Math.max(this.log.committed + 1, this.termStartIndex);
    this.uncommittedBytes -= this.log.dataBytes(first, index);
    this.log.commitTo(index);
    (Reflect.get(this, 'afterCommit') as () => void).call(this);
  };
  const { step } = Raft.prototype;
  Raft.prototype.step = function (this: Raft, message: Message, nowMs: number, leaderHeardMs?: number) {
    const core = coreOf(this);
    const isForUs = message.to === core.id && message.term >= core.currentTerm;
    if (message.type === 'AppendRequest' && isForUs && contradicts(core, message)) {
      // Its leader is heard all the same, and nobody else is elected meanwhile.
      step.call(this, heartbeatOf(message), nowMs, leaderHeardMs);
      return;
    }
    step.call(this, message, nowMs, leaderHeardMs);
  };
}

const heartbeatOf = ({ from, to, term }: AppendRequest): Message => ({
  type: 'HeartbeatRequest',
  from,
  to,
  term,
  commitIndex: 0,
  round: 0,
});

export const quorumMutants = {
  'read-without-quorum': readWithoutQuorum,
  'acknowledge-after-one': acknowledgedAfterOne,
} as const;
