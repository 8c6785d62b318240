/** The node's figures as Prometheus text. The only file that imports prom-client. */
import { Gauge, Registry } from 'prom-client';
import type { NodeStatus } from '../wire/index.js';

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** One scrape of `status`. Names are `ringraft_<figure>`; per-shard figures carry the label `shard`. */
export function metricsText(status: NodeStatus): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ node: status.nodeId, cluster: status.cluster });
  const gauge = (name: string, help: string, value: number): void => {
    new Gauge({ name: `ringraft_${name}`, help, registers: [registry] }).set(value);
  };
  for (const [name, value] of Object.entries(status.counters)) {
    gauge(snakeCase(name), `Counter ${name} since the node started`, value);
  }
  gauge('resident_memory_bytes', 'Resident memory of the process', status.memory.residentBytes);
  gauge('heap_used_bytes', 'Used JavaScript heap', status.memory.heapBytes);
  gauge('wal_segments', 'Segments of the write-ahead log on disk', status.wal.segments);
  gauge('wal_disk_bytes', 'Bytes of the write-ahead log on disk', status.wal.bytesOnDisk);
  gauge('wal_written_bytes', 'Bytes written to the write-ahead log since the start', status.wal.bytesWritten);
  gauge('wal_syncs', 'Synced writes of the write-ahead log since the start', status.wal.syncs);
  gauge('wal_full', '1 while the log waits for disk space', status.wal.isFull ? 1 : 0);
  const damaged = status.shards.filter(({ role }) => role === 'damaged');
  gauge('replicas_damaged', 'Replicas that wait to be replaced', damaged.length);
  const perShard = (name: string, help: string, value: (shard: NodeStatus['shards'][number]) => number): void => {
    const metric = new Gauge({ name: `ringraft_shard_${name}`, help, labelNames: ['shard'], registers: [registry] });
    for (const shard of status.shards) metric.set({ shard: String(shard.shardId) }, value(shard));
  };
  perShard('is_leader', '1 where this replica leads', (shard) => (shard.role === 'leader' ? 1 : 0));
  perShard('term', 'Current term', (shard) => shard.term);
  perShard('commit_index', 'Commit index', (shard) => shard.commitIndex);
  perShard('applied_index', 'Applied index', (shard) => shard.appliedIndex);
  return registry.metrics();
}
