/**
 * Packs the operations that go out in one turn into as few messages as sizes allow, one stream of them a node.
 *
 * Invariant: a batch carries only unsettled operations, and the least `ackedBelow` of the shards it writes to, as it
 * stands when the batch is encoded; so no batch carries a write's sequence below its own `ackedBelow`.
 */
import { isRingraftError } from '../base/index.js';
import type { Bus } from '../transport/index.js';
import { encodeOperationBatch, type Operation } from '../wire/index.js';
import type { NodeLink } from './node-link.js';
import type { PendingOperation } from './pending-operation.js';
import type { SequenceWindow } from './sequence-window.js';

/** Most operations in one batch. */
export const maxBatchOperations = 1024;
/** Everything of an operation on the wire beside its bytes, and everything of a batch beside its operations. */
const operationOverheadBytes = 64;
const batchOverheadBytes = 64;

const bytesOf = ({ key, value, expectedValue }: Operation): number =>
  key.length + value.length + expectedValue.length + operationOverheadBytes;

/** Whether the operation fits into a message of its own. */
export const fitsMessage = (operation: Operation, maxPayloadBytes: number): boolean =>
  bytesOf(operation) + batchOverheadBytes <= maxPayloadBytes;

/** The largest key and value together that fit into a message. */
export const maxOperationBytes = (maxPayloadBytes: number): number =>
  maxPayloadBytes - operationOverheadBytes - batchOverheadBytes;

export type BatchContext = {
  readonly clientId: string;
  readonly sequences: SequenceWindow;
  readonly mapEpoch: () => number;
};

export class BatchSender {
  /** Messages sent since the start. */
  messages = 0;

  constructor(
    private readonly bus: Bus,
    private readonly context: BatchContext,
  ) {}

  /** Sends everything in `link.outgoing`; `onSend` is told of each operation just before it leaves. */
  send(link: NodeLink, onSend: (pending: PendingOperation) => void): void {
    const { outgoing } = link;
    link.outgoing = [];
    const { sequences } = this.context;
    let operations: Operation[] = [];
    let ackedBelow = sequences.nextSequence;
    let bytes = batchOverheadBytes;
    link.beginBatch();
    for (const pending of outgoing) {
      const size = bytesOf(pending.operation);
      const isFull = operations.length === maxBatchOperations || bytes + size > this.bus.maxPayloadBytes;
      if (isFull && operations.length > 0) {
        this.publish(link, operations, ackedBelow);
        link.beginBatch();
        operations = [];
        ackedBelow = sequences.nextSequence;
        bytes = batchOverheadBytes;
      }
      onSend(pending);
      operations.push(pending.operation);
      if (pending.takesSequence) ackedBelow = Math.min(ackedBelow, sequences.ackedBelow(pending.shard));
      bytes += size;
    }
    this.publish(link, operations, ackedBelow);
  }

  /**
   * Asks whether anybody listens on the node's subject: a batch without operations is never answered, but NATS says at
   * once when there is nobody. A node may have died with what it was sent.
   */
  probe(link: NodeLink): void {
    const { clientId, mapEpoch } = this.context;
    const payload = encodeOperationBatch({ clientId, ackedBelow: 0, mapEpoch: mapEpoch(), operations: [] });
    this.bus.publish('client', link.subject, payload, { replyTo: link.probeReplyTo });
  }

  private publish(link: NodeLink, operations: Operation[], ackedBelow: number): void {
    const { clientId, mapEpoch } = this.context;
    const payload = encodeOperationBatch({ clientId, ackedBelow, mapEpoch: mapEpoch(), operations });
    this.messages++;
    try {
      this.bus.publish('client', link.subject, payload, { replyTo: link.replyTo });
    } catch (error) {
      // The bus is closed: like a lost message, and its operations run into their deadlines.
      if (!isRingraftError(error)) throw error;
    }
  }
}
