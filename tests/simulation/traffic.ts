/** Counts what passes between the processes of a run, by lane, by kind of subject, and what the envelopes hold. */
import type { Message, MessageType } from '../../src/raft/index.js';
import type { Lane } from '../../src/transport/index.js';
import { decodeEnvelope } from '../../src/wire/index.js';
import type { Network, Passage } from './network.js';

export type RaftPassage = { readonly from: string; readonly to: string; readonly message: Message };

/** Messages of one lane whose subject's third token is this: `raft`, `snap`, `node`, `admin`, `map`, `inbox`. */
const kindOf = (subject: string): string =>
  subject.startsWith('_INBOX.') ? 'inbox' : (subject.split('.')[2] ?? subject);

export class Traffic {
  readonly byLane: Record<Lane, number> = { raft: 0, snapshot: 0, client: 0 };
  readonly bySubject = new Map<string, number>();
  readonly byType = new Map<MessageType, number>();
  /** Envelopes between nodes, and those of them that hold nothing. */
  envelopes = 0;
  keepalives = 0;
  /** Consensus messages in all envelopes. */
  raftMessages = 0;
  /** Asked of every message in turn; one that says false loses it. */
  readonly rules = new Set<(passage: Passage) => boolean>();
  onRaft: (passage: RaftPassage) => void = () => {};

  constructor(network: Network) {
    network.watch = (passage) => this.see(passage);
  }

  private see(passage: Passage): boolean {
    const { from, to, lane, message } = passage;
    this.byLane[lane]++;
    const kind = kindOf(message.subject);
    this.bySubject.set(kind, (this.bySubject.get(kind) ?? 0) + 1);
    if (kind === 'raft') {
      const { items } = decodeEnvelope(Buffer.from(message.payload));
      this.envelopes++;
      if (items.length === 0) this.keepalives++;
      this.raftMessages += items.length;
      for (const item of items) {
        this.byType.set(item.message.type, (this.byType.get(item.message.type) ?? 0) + 1);
        this.onRaft({ from, to, message: item.message });
      }
    }
    let passes = true;
    for (const rule of this.rules) passes = rule(passage) && passes;
    return passes;
  }

  /** Loses every message the rule says false of, until the function it returns is called. */
  lose(rule: (passage: Passage) => boolean): () => void {
    const passes = (passage: Passage): boolean => !rule(passage);
    this.rules.add(passes);
    return () => this.rules.delete(passes);
  }
}
