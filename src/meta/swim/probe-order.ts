/**
 * Who is probed next: everybody once a round, in an order that is random anew each round. So every member is probed by
 * every other within two rounds at most, and no two nodes go round together (SWIM §4.3).
 */
import { type NodeId, type Random, randomBetween } from '../../base/index.js';
import { shuffled } from './choice.js';

export class ProbeOrder {
  private round: NodeId[] = [];
  private at = 0;

  constructor(private readonly random: Random) {}

  /** A newcomer takes its turn somewhere in what is left of this round. */
  add(nodeId: NodeId): void {
    if (this.round.includes(nodeId, this.at)) return;
    this.round.splice(randomBetween(this.random, this.at, this.round.length), 0, nodeId);
  }

  /** `candidates` is asked for the members of a new round; `isCandidate` passes over those who ceased to be one. */
  next(candidates: () => readonly NodeId[], isCandidate: (nodeId: NodeId) => boolean): NodeId | undefined {
    const left = this.fromRound(isCandidate);
    if (left !== undefined) return left;
    this.round = [...shuffled(this.random, candidates())];
    this.at = 0;
    return this.fromRound(isCandidate);
  }

  private fromRound(isCandidate: (nodeId: NodeId) => boolean): NodeId | undefined {
    while (this.at < this.round.length) {
      const nodeId = this.round[this.at++] as NodeId;
      if (isCandidate(nodeId)) return nodeId;
    }
    return undefined;
  }
}
