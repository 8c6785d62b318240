/** Compares what the nodes of a stopped cluster hold, byte for byte. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Engine, type EngineRange, openEngine } from '../../src/engine/index.js';
import { dataRange, indexRange } from '../../src/kv/keys.js';
import type { ClusterMap } from '../../src/wire/index.js';
import { nextPairs } from '../support/engine-calls.js';
import type { Violations } from './violations.js';

const pageSize = 500;

type Summary = { readonly pairs: number; readonly hash: string };

async function summaryOf(engine: Engine, range: EngineRange): Promise<Summary> {
  const hash = createHash('sha256');
  const iterator = engine.iterate(range);
  const length = Buffer.alloc(8);
  let count = 0;
  for (;;) {
    const pairs = await nextPairs(iterator, pageSize);
    if (pairs.length === 0) break;
    for (const [key, value] of pairs) {
      length.writeUInt32BE(key.length, 0);
      length.writeUInt32BE(value.length, 4);
      hash.update(length).update(key).update(value);
    }
    count += pairs.length;
  }
  await new Promise<void>((resolve) => iterator.close(resolve));
  return { pairs: count, hash: hash.digest('hex') };
}

/** What is compared: the data of every shard in every bucket, and every bucket's index. */
function* ranges({ shards, buckets }: ClusterMap): Generator<{ readonly what: string; readonly range: EngineRange }> {
  for (const { id, name } of buckets) {
    for (const shard of shards) {
      yield { what: `shard ${shard.id}, bucket ${name}`, range: dataRange(id, shard.arcStart, shard.arcEnd) };
    }
    yield { what: `index of bucket ${name}`, range: indexRange(id, Buffer.alloc(0), undefined) };
  }
}

export type Comparison = { readonly ranges: number; readonly pairs: number };

/** Every node has a replica of every shard here. */
export async function compareReplicas(
  dataDirectory: string,
  nodeIds: readonly string[],
  map: ClusterMap,
  violations: Violations,
): Promise<Comparison> {
  const engines = nodeIds.map((id) => openEngine('rocksdb', join(dataDirectory, id, 'state')));
  await Promise.all(engines.map((engine) => engine.open()));
  let compared = 0;
  let pairs = 0;
  try {
    for (const { what, range } of ranges(map)) {
      const summaries: Summary[] = [];
      for (const engine of engines) summaries.push(await summaryOf(engine, range));
      const [first] = summaries as [Summary];
      if (summaries.some(({ hash }) => hash !== first.hash)) {
        const found = nodeIds.map(
          (id, at) => `${id} ${summaries[at]?.pairs} pairs ${summaries[at]?.hash.slice(0, 12)}`,
        );
        violations.add(`${what}: the replicas differ: ${found.join(', ')}`);
      }
      compared++;
      pairs += first.pairs;
    }
  } finally {
    await Promise.all(engines.map((engine) => engine.close()));
  }
  return { ranges: compared, pairs };
}
