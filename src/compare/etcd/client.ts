/** etcd over its own gRPC protocol, a connection to each member, as etcd's Go client has. */
import { RingraftError } from '../../base/index.js';
import type { PeerClient } from '../peer.js';
import type { Dataset, ReadLevel } from '../workload.js';
import { GrpcConnection } from './grpc-connection.js';
import {
  decodeFoundRanges,
  decodeIsLeader,
  decodeRange,
  encodePut,
  encodePuts,
  encodeRange,
  encodeRanges,
  methods,
} from './messages.js';

/** Round robin, which etcd's Go client does; or everything to the leader, which saves the others a step. */
const routes = ['spread', 'leader'] as const;

export async function connectEtcd(servers: readonly string[]): Promise<PeerClient> {
  return new EtcdClient(await Promise.all(servers.map((server) => GrpcConnection.connect(server))));
}

class EtcdClient implements PeerClient {
  readonly routes = routes;
  private used: readonly GrpcConnection[];
  private turn = 0;

  constructor(private readonly connections: readonly GrpcConnection[]) {
    this.used = connections;
  }

  async takeRoute(route: string): Promise<void> {
    this.used = route === 'leader' ? [await this.leader()] : this.connections;
  }

  private async leader(): Promise<GrpcConnection> {
    for (const connection of this.connections) {
      if (decodeIsLeader(await connection.call(methods.status, new Uint8Array(0)))) return connection;
    }
    throw new RingraftError('NO_LEADER', 'no member of etcd says that it leads');
  }

  private call(method: string, message: Uint8Array): Promise<Buffer> {
    this.turn = (this.turn + 1) % this.used.length;
    return (this.used[this.turn] as GrpcConnection).call(method, message);
  }

  async put(key: string, value: Buffer): Promise<void> {
    await this.call(methods.put, encodePut(key, value));
  }

  async get(key: string, level: ReadLevel): Promise<Uint8Array | undefined> {
    const [value] = decodeRange(await this.call(methods.range, encodeRange({ key, serializable: level === 'stale' })));
    return value;
  }

  async putMany(keys: readonly string[], value: Buffer): Promise<void> {
    await this.call(methods.txn, encodePuts(keys, value));
  }

  async getMany(keys: readonly string[]): Promise<number> {
    return decodeFoundRanges(await this.call(methods.txn, encodeRanges(keys)));
  }

  async scan({ prefix }: Dataset, from: string, limit: number): Promise<number> {
    // `0` comes after `/`.
    return decodeRange(await this.call(methods.range, encodeRange({ key: from, end: `${prefix}0`, limit }))).length;
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.close();
  }
}
