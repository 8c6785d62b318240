/**
 * Gathers the writes that one group receives in one turn into as few log entries as their size allows.
 *
 * Invariants: 1. commands keep the order of arrival. 2. An entry exceeds `maxEntryBytes` only when a single command
 * does. 3. `operations[i]` of a taken entry is where `commands[i]` came from.
 */
import { assert, mapKey } from '../base/index.js';
import {
  type CommandBatch,
  CommandKind,
  encodeCommandBatch,
  OperationKind,
  type SessionReference,
} from '../wire/index.js';
import type { PendingOperation } from './pending.js';

const commandOverheadBytes = 48;

const commandKinds = {
  [OperationKind.Put]: CommandKind.Put,
  [OperationKind.Delete]: CommandKind.Delete,
  [OperationKind.Increment]: CommandKind.Increment,
  [OperationKind.Append]: CommandKind.Append,
  [OperationKind.Touch]: CommandKind.Touch,
} as const;

/** The mutation an operation asks for; undefined for reads, and for what is unknown here. */
export const commandKindOf = (kind: OperationKind): CommandKind | undefined =>
  commandKinds[kind as keyof typeof commandKinds];

type Building = {
  readonly batch: CommandBatch;
  /** Which of the batch's sessions the last command was of; 0: none yet. */
  session: number;
  /** Where each client's session is, once there are several: most entries speak for one client. */
  sessions: Map<string, number> | undefined;
  readonly operations: PendingOperation[];
  bytes: number;
};

export type BuiltEntry = { readonly data: Buffer; readonly operations: readonly PendingOperation[] };

/** The place, from 1 on, of the client's session among those of the entry. */
function sessionIn(building: Building, clientId: string, ackedBelow: number): number {
  const { sessions } = building.batch;
  const last = sessions[building.session - 1];
  const known = last?.clientId === clientId ? building.session : building.sessions?.get(clientId);
  if (known !== undefined) {
    building.session = known;
    const reference = sessions[known - 1];
    if (reference !== undefined && reference.ackedBelow < ackedBelow) reference.ackedBelow = ackedBelow;
    return known;
  }
  building.session = sessions.push({ clientId, ackedBelow });
  if (building.session === 1) return 1;
  building.sessions ??= new Map([[(sessions[0] as SessionReference).clientId, 1]]);
  building.sessions.set(clientId, building.session);
  return building.session;
}

export class CommandBuilder {
  private building: Building[] = [];

  constructor(private readonly maxEntryBytes: number) {}

  get isEmpty(): boolean {
    return this.building.length === 0;
  }

  /**
   * `nowMs` is the leader's wall clock: the time all replicas will use to decide about this command. `maxValueBytes` is
   * what a value may grow to.
   */
  add(pending: PendingOperation, batch: SessionReference, nowMs: number, maxValueBytes: number): void {
    const { operation } = pending;
    const kind = commandKindOf(operation.kind);
    assert(kind !== undefined, 'only writes become commands');
    const isItsOwn = operation.clientId.length > 0;
    const clientId = isItsOwn ? mapKey(operation.clientId) : batch.clientId;
    const ackedBelow = isItsOwn ? 0 : batch.ackedBelow;
    const bytes = operation.key.length + operation.value.length + operation.expectedValue.length + commandOverheadBytes;
    let current = this.building[this.building.length - 1];
    if (current === undefined || current.bytes + bytes > this.maxEntryBytes) {
      current = {
        batch: { timeStampMs: nowMs, sessions: [], commands: [] },
        session: 0,
        sessions: undefined,
        operations: [],
        bytes: 0,
      };
      this.building.push(current);
    }
    const session = operation.sequence > 0 ? sessionIn(current, clientId, ackedBelow) : 0;
    current.batch.commands.push({
      kind,
      bucketId: operation.bucketId,
      key: operation.key,
      value: operation.value,
      condition: operation.condition,
      expectedRevision: operation.expectedRevision,
      expectedValue: operation.expectedValue,
      expiresAtMs: operation.ttlMs > 0 ? current.batch.timeStampMs + operation.ttlMs : 0,
      session,
      sequence: operation.sequence,
      maxValueBytes: operation.kind === OperationKind.Append ? maxValueBytes : 0,
    });
    current.operations.push(pending);
    current.bytes += bytes;
  }

  /** The entries of this turn; the builder is empty afterwards. */
  take(): readonly BuiltEntry[] {
    const built = this.building.map(({ batch, operations }) => ({ data: encodeCommandBatch(batch), operations }));
    this.building = [];
    return built;
  }
}
