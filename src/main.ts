#!/usr/bin/env node
/**
 * `kvd`: one node. The composition root: reads the configuration, takes the data directory, builds the adapters, and
 * runs until told to stop. Nothing else builds adapters; nothing here decides anything else.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Clock,
  isNodeId,
  isRingraftError,
  messageOf,
  type NodeId,
  RingraftError,
  systemClock,
  systemRandom,
} from './base/index.js';
import { connectClient } from './client/index.js';
import { type ClusterConfig, loadConfig } from './config/index.js';
import {
  buildLogger,
  type ClosableLogger,
  claimDataDirectory,
  type DaemonFlags,
  daemonUsage,
  parseDaemonFlags,
} from './daemon/index.js';
import { openEngine } from './engine/index.js';
import { Host, LocalMap } from './host/index.js';
import { nodeSnapshotFiles, Store } from './kv/index.js';
import { foundingMap } from './meta/index.js';
import { initHash } from './ring/index.js';
import { startService } from './service/index.js';
import { connectNats, lanes } from './transport/index.js';
import { nodeDisk, openWal } from './wal/index.js';

const exitCodes = { stopped: 0, error: 1, usage: 2, locked: 3 } as const;
/** Log entries kept in memory for followers that lag, all shards together. */
const logMemoryBytes = 24 * 1024 * 1024;
const clock: Clock = systemClock;

const packageVersion = (): string => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
};

function exitCodeOf(error: unknown): number {
  if (isRingraftError(error, 'CONFIG')) return exitCodes.usage;
  if (isRingraftError(error, 'LOCKED')) return exitCodes.locked;
  return exitCodes.error;
}

function configFrom(flags: DaemonFlags): ClusterConfig {
  const overrides = [...flags.set];
  if (flags.nats !== undefined) overrides.push(`nats.servers=${JSON.stringify(flags.nats)}`);
  if (flags.logLevel !== undefined) overrides.push(`log.level=${flags.logLevel}`);
  return loadConfig(flags.config, { overrides, env: process.env });
}

function memberOf(config: ClusterConfig, node: string): NodeId {
  if (!isNodeId(node) || !config.nodes.some(({ id }) => id === node)) {
    const known = config.nodes.map(({ id }) => id).join(', ');
    throw new RingraftError('CONFIG', `--node ${node}: the configuration names ${known}`);
  }
  return node;
}

type Running = { stop(): Promise<void> };

async function start(
  flags: DaemonFlags,
  config: ClusterConfig,
  nodeId: NodeId,
  logger: ClosableLogger,
): Promise<Running> {
  const version = packageVersion();
  const directory = flags.data ?? join(config.dataDirectory, nodeId);
  await initHash();
  const map = { ...foundingMap(config), epoch: 1 };
  await claimDataDirectory(directory, { cluster: config.cluster, nodeId });
  const onFatal = (error: unknown): void => {
    // Nothing may be answered after this: no clean-up, no farewell to NATS.
    logger.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'stopping: fatal');
    logger.flush();
    process.exit(exitCodes.error);
  };
  const engine = openEngine(config.engine.type, join(directory, 'state'));
  await engine.open();
  const wal = await openWal(nodeDisk(), {
    directory: join(directory, 'log'),
    segmentBytes: config.wal.segmentBytes,
    clock,
  });
  for (const note of wal.notes) logger.warn({}, note);
  const files = nodeSnapshotFiles(join(directory, 'staging'));
  const store = await Store.open(engine, {
    clock,
    cacheBytes: config.engine.cacheBytes,
    files,
    bucketIds: map.buckets.map((bucket) => bucket.id),
    onFailure: onFatal,
  });
  const bus = await connectNats({ ...config.nats, name: `ringraft ${config.cluster} ${nodeId}` }, lanes);
  bus.onError((lane, error) => logger.error({ lane, code: error.code }, error.message));

  const host = await Host.start(
    { clock, random: systemRandom, logger, bus, wal, store, snapshotFiles: files, maps: new LocalMap(map), onFatal },
    {
      nodeId,
      version,
      incarnation: await store.nextIncarnation(),
      cluster: config.cluster,
      mayFound: true,
      raft: config.raft,
      limits: {
        ...config.limits,
        maxPendingWriteBytes: 64 * 1024 * 1024,
        trimEveryBytes: 32 * 1024 * 1024,
        diskStallMs: 2 * config.raft.electionTimeoutMs,
        retainedLogBytes: Math.max(256 * 1024, Math.floor(logMemoryBytes / map.shards.length)),
      },
    },
  );
  const client = await connectClient(bus, { cluster: config.cluster });
  const service = startService(bus, client, { prefix: config.subjectPrefix, cluster: config.cluster, version, nodeId });
  logger.info({ directory, servers: config.nats.servers, shards: map.shards.length, version }, 'serving');
  return {
    async stop() {
      await service.stop();
      await host.stop();
      await client.close();
      await bus.close();
      await store.close();
      await wal.close();
      await engine.close();
    },
  };
}

async function run(): Promise<void> {
  const flags = parseDaemonFlags(process.argv.slice(2), process.env);
  if (flags === 'help') {
    process.stdout.write(daemonUsage);
    return;
  }
  if (flags === 'version') {
    process.stdout.write(`${packageVersion()}\n`);
    return;
  }
  const config = configFrom(flags);
  const nodeId = memberOf(config, flags.node);
  const format = flags.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json');
  const logger = buildLogger({ level: config.log.level, format, node: nodeId });
  const starting = start(flags, config, nodeId, logger);
  let asked = false;
  const stop = (signal: string): void => {
    if (asked) process.exit(exitCodes.error);
    asked = true;
    logger.info({ signal }, 'stopping: handing leaderships over');
    starting
      .then((running) => running.stop())
      .then(() => {
        logger.info({}, 'stopped');
        logger.flush();
        process.exit(exitCodes.stopped);
      })
      .catch((error: unknown) => {
        logger.error({ error: messageOf(error) }, 'did not stop cleanly');
        logger.flush();
        process.exit(exitCodes.error);
      });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  try {
    await starting;
  } catch (error) {
    if (asked) return;
    logger.error({ code: isRingraftError(error) ? error.code : undefined }, messageOf(error));
    logger.flush();
    process.exit(exitCodeOf(error));
  }
}

process.on('unhandledRejection', (error) => {
  process.stderr.write(`kvd: unexpected: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(exitCodes.error);
});

run().catch((error: unknown) => {
  process.stderr.write(`kvd: ${isRingraftError(error) ? `${error.code}: ` : ''}${messageOf(error)}\n`);
  process.exit(exitCodeOf(error));
});
