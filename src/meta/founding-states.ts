/** Asks the other founding nodes, again and again, how far each came with its first start. */
import type { NodeId } from '../base/index.js';
import type { Bus, BusSubscription } from '../transport/index.js';
import { type AdminRequest, adminSubject, type ClusterMap, type FoundingState } from '../wire/index.js';

export class FoundingStates {
  /** The last answer of each. */
  private readonly states = new Map<NodeId, FoundingState>();
  private readonly others: readonly NodeId[];
  private readonly inbox: string;
  private readonly subscription: BusSubscription;

  constructor(
    private readonly bus: Bus,
    private readonly founding: ClusterMap,
    self: NodeId,
  ) {
    this.others = founding.nodes.map(({ id }) => id).filter((id) => id !== self);
    this.inbox = bus.newInbox();
    this.subscription = bus.subscribe('client', `${this.inbox}.*`, ({ subject, payload, noResponders }) => {
      const state = noResponders ? undefined : stateIn(payload);
      if (state !== undefined) this.states.set(subject.slice(this.inbox.length + 1) as NodeId, state);
    });
  }

  close(): void {
    this.subscription.unsubscribe();
  }

  ask(): void {
    const request: AdminRequest = { op: 'founding' };
    for (const node of this.others) {
      const payload = Buffer.from(JSON.stringify(request));
      const subject = adminSubject(this.founding.cluster, node);
      this.bus.publish('client', subject, payload, { replyTo: `${this.inbox}.${node}` });
    }
  }

  /** Whether each of them has answered, and in such a state. */
  isEach(isWanted: (state: FoundingState) => boolean): boolean {
    return this.others.every((node) => {
      const state = this.states.get(node);
      return state !== undefined && isWanted(state);
    });
  }

  /** For people. */
  get heard(): string {
    return [...this.states].map(([node, state]) => `${node}: ${state}`).join(', ') || 'nobody';
  }
}

function stateIn(payload: Buffer): FoundingState | undefined {
  try {
    const { founding } = JSON.parse(payload.toString()) as { founding?: unknown };
    return founding === 'new' || founding === 'founding' || founding === 'established' ? founding : undefined;
  } catch {
    return undefined;
  }
}
