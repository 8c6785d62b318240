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
  type ManagerRequest,
  type MapChange,
  managerSubject,
  mapChangeSubject,
  mapSubject,
  withWholeBuckets,
} from '../wire/index.js';
import { applyChange, checkMap } from './map-changes.js';

const fetchEveryMs = 500;
const askEveryMs = 500;

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
    return withWholeBuckets(JSON.parse(gunzipSync(bytes).toString()) as ClusterMap);
  } catch (cause) {
    throw new RingraftError('CORRUPT', 'the saved cluster map does not read', { cause });
  }
}

export class MapFollower {
  private readonly subscriptions: BusSubscription[] = [];
  private readonly inbox: string;
  private isConfirmed = false;
  private asker: Timer | undefined;
  private nextFetchMs = Number.NEGATIVE_INFINITY;
  private stopped = false;

  constructor(private readonly parts: MapFollowerParts) {
    this.inbox = parts.bus.newInbox();
  }

  private get map(): ClusterMap {
    return this.parts.host.maps.current;
  }

  private get epoch(): number {
    return this.map.epoch;
  }

  start(): void {
    const { bus, cluster } = this.parts;
    this.subscriptions.push(
      bus.subscribe('client', mapChangeSubject(cluster), (message) => this.receiveChange(message)),
      bus.subscribe('client', `${this.inbox}.*`, (message) => this.receiveMap(message)),
    );
    this.askManager();
  }

  stop(): void {
    this.stopped = true;
    this.asker?.cancel();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /** A copy from an earlier life may be old, and a founding one is none yet: the manager's map is asked for until it comes. */
  private askManager(): void {
    const { bus, clock, cluster } = this.parts;
    if (this.stopped || this.isConfirmed) return;
    const request: ManagerRequest = { op: 'map' };
    bus.publish('client', managerSubject(cluster), Buffer.from(JSON.stringify(request)), {
      replyTo: `${this.inbox}.manager`,
    });
    this.asker = clock.after(askEveryMs, () => this.askManager());
  }

  /** The node took a newer map over, from wherever. */
  onMap(): void {
    this.save();
  }

  /** A node says that it has this epoch. */
  heardOf(epoch: number, from: NodeId): void {
    const { bus, clock, cluster } = this.parts;
    const nowMs = clock.nowMs();
    if (this.stopped || epoch <= this.epoch || nowMs < this.nextFetchMs) return;
    this.nextFetchMs = nowMs + fetchEveryMs;
    const request: AdminRequest = { op: 'map' };
    bus.publish('client', adminSubject(cluster, from), Buffer.from(JSON.stringify(request)), {
      replyTo: `${this.inbox}.any`,
    });
  }

  private receiveChange({ payload }: BusMessage): void {
    let next: ClusterMap | undefined;
    try {
      const change = JSON.parse(payload.toString()) as MapChange;
      if (!Number.isSafeInteger(change.epoch) || change.epoch <= this.epoch) return;
      if (change.kind !== 'founded' && change.epoch === this.epoch + 1) next = applyChange(this.map, change);
    } catch (error) {
      // Whatever it was: the whole map will tell.
      this.parts.logger.warn({ error: messageOf(error) }, 'dropped a change of the map that does not fit');
    }
    if (next === undefined) this.fetch();
    else this.adopt(next);
  }

  /** From any node, now and then: it may be one that has nothing newer either. */
  private fetch(): void {
    const { bus, clock, cluster } = this.parts;
    const nowMs = clock.nowMs();
    if (nowMs < this.nextFetchMs) return;
    this.nextFetchMs = nowMs + fetchEveryMs;
    bus.publish('client', mapSubject(cluster), emptyBytes, { replyTo: `${this.inbox}.any` });
  }

  private receiveMap({ subject, payload, noResponders }: BusMessage): void {
    if (noResponders || this.stopped) return;
    try {
      const { map } = JSON.parse(payload.toString()) as { readonly map?: ClusterMap };
      // What another node has from its configuration says nothing.
      if (map === undefined || !Number.isSafeInteger(map.epoch) || map.epoch <= 0) return;
      const whole = withWholeBuckets(map);
      checkMap(whole);
      this.adopt(whole, subject.endsWith('.manager'));
    } catch (error) {
      this.parts.logger.warn({ error: messageOf(error) }, 'dropped a map that does not read');
    }
  }

  private adopt(map: ClusterMap, isManagers = false): void {
    const { host } = this.parts;
    try {
      if (isManagers) {
        host.confirmMap(map);
        this.isConfirmed = true;
      } else host.adoptMap(map);
    } catch (error) {
      this.parts.onFatal(error);
    }
  }

  /** A newer map is kept for the next start. */
  private save(): void {
    this.parts.host.saveMap().catch((error: unknown) => this.parts.onFatal(error));
  }
}
