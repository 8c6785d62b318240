/**
 * Keeps a node's copy of the cluster map up to date: takes the changes the manager announces, and fetches the whole from
 * whoever has a newer one when a change was missed.
 *
 * Invariant: a map that was adopted is saved soon, so that a restart begins from it.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import {
  type Clock,
  emptyBytes,
  isRingraftError,
  type Logger,
  messageOf,
  type NodeId,
  RingraftError,
  type Timer,
} from '../base/index.js';
import type { Host } from '../host/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import {
  type AdminRequest,
  adminSubject,
  type ClusterMap,
  type MapChange,
  mapChangeSubject,
  mapSubject,
} from '../wire/index.js';
import { applyChange } from './map-changes.js';

const saveEveryMs = 1000;
const fetchEveryMs = 500;

export type MapFollowerParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: Host;
  readonly cluster: string;
  readonly onFatal: (error: unknown) => void;
};

export const encodeSavedMap = (map: ClusterMap): Buffer => gzipSync(JSON.stringify(map));

/** Throws CORRUPT. */
export function decodeSavedMap(bytes: Buffer): ClusterMap {
  try {
    return JSON.parse(gunzipSync(bytes).toString()) as ClusterMap;
  } catch (cause) {
    throw new RingraftError('CORRUPT', 'the saved cluster map does not read', { cause });
  }
}

export class MapFollower {
  private readonly subscriptions: BusSubscription[] = [];
  private readonly inbox: string;
  private saver: Timer | undefined;
  private nextFetchMs = Number.NEGATIVE_INFINITY;
  private timer: Timer | undefined;
  private stopped = false;

  constructor(private readonly parts: MapFollowerParts) {
    this.inbox = parts.bus.newInbox();
  }

  private get epoch(): number {
    return this.parts.host.maps.current.epoch;
  }

  start(): void {
    const { bus, cluster } = this.parts;
    this.subscriptions.push(
      bus.subscribe('client', mapChangeSubject(cluster), (message) => this.receiveChange(message)),
      bus.subscribe('client', this.inbox, (message) => this.receiveMap(message)),
    );
    // A copy from an earlier life may be old, and a founding one is none yet.
    bus.publish('client', mapSubject(cluster), emptyBytes, { replyTo: this.inbox });
    this.watchSaving();
  }

  stop(): void {
    this.stopped = true;
    this.saver?.cancel();
    this.timer?.cancel();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /** A node says that it has this epoch. */
  heardOf(epoch: number, from: NodeId): void {
    const { bus, clock, cluster } = this.parts;
    const nowMs = clock.nowMs();
    if (this.stopped || epoch <= this.epoch || nowMs < this.nextFetchMs) return;
    this.nextFetchMs = nowMs + fetchEveryMs;
    const request: AdminRequest = { op: 'map' };
    bus.publish('client', adminSubject(cluster, from), Buffer.from(JSON.stringify(request)), { replyTo: this.inbox });
  }

  private receiveChange({ payload }: BusMessage): void {
    let change: MapChange;
    try {
      change = JSON.parse(payload.toString()) as MapChange;
    } catch {
      this.parts.logger.warn({}, 'dropped a change of the map that is no JSON');
      return;
    }
    const { host, bus, clock, cluster } = this.parts;
    if (change.epoch <= this.epoch) return;
    if (change.kind !== 'founded' && change.epoch === this.epoch + 1) {
      this.adopt(applyChange(host.maps.current, change));
      return;
    }
    const nowMs = clock.nowMs();
    if (nowMs < this.nextFetchMs) return;
    this.nextFetchMs = nowMs + fetchEveryMs;
    bus.publish('client', mapSubject(cluster), emptyBytes, { replyTo: this.inbox });
  }

  private receiveMap({ payload, noResponders }: BusMessage): void {
    if (noResponders || this.stopped) return;
    try {
      const answer = JSON.parse(payload.toString()) as { readonly map?: ClusterMap };
      if (answer.map !== undefined) this.adopt(answer.map);
    } catch (error) {
      if (isRingraftError(error)) throw error;
      this.parts.logger.warn({ error: messageOf(error) }, 'dropped a map that does not read');
    }
  }

  private adopt(map: ClusterMap): void {
    try {
      this.parts.host.adoptMap(map);
    } catch (error) {
      this.parts.onFatal(error);
    }
  }

  /** Saves the newest map now and then: what was missed is fetched again. */
  private watchSaving(): void {
    this.saver = this.parts.clock.after(saveEveryMs, () => {
      this.parts.host.saveMap().catch((error: unknown) => this.parts.onFatal(error));
      if (!this.stopped) this.watchSaving();
    });
  }
}
