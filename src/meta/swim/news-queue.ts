/**
 * News that still has to be passed on: what was sent least often goes first, among equals the newest.
 *
 * The queue names members only; what is said of them is looked up when a message is made, so that it is never old.
 */
import type { NodeId } from '../../base/index.js';

type Entry = { readonly nodeId: NodeId; readonly order: number; timesSent: number };

export class NewsQueue {
  private readonly entries = new Map<NodeId, Entry>();
  private order = 0;

  get size(): number {
    return this.entries.size;
  }

  /** Something about the member is new: it starts over. */
  add(nodeId: NodeId): void {
    this.entries.set(nodeId, { nodeId, order: this.order++, timesSent: 0 });
  }

  remove(nodeId: NodeId): void {
    this.entries.delete(nodeId);
  }

  /** Who is to be told of next. */
  inTurn(): readonly NodeId[] {
    return [...this.entries.values()]
      .sort((a, b) => a.timesSent - b.timesSent || b.order - a.order)
      .map(({ nodeId }) => nodeId);
  }

  /** It was put into a message; the last of `mostTimes` drops it. */
  sent(nodeId: NodeId, mostTimes: number): void {
    const entry = this.entries.get(nodeId);
    if (entry !== undefined && ++entry.timesSent >= mostTimes) this.entries.delete(nodeId);
  }
}
