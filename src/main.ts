#!/usr/bin/env node
/**
 * `kvd`: one node. The composition root: reads the configuration, takes the data directory, builds the adapters, and
 * runs until told to stop. Nothing else builds adapters; nothing here decides anything else.
 */
import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Clock,
  isNodeId,
  isRingraftError,
  messageOf,
  type NodeId,
  packageRoot,
  pause,
  RingraftError,
  systemClock,
  systemRandom,
} from './base/index.js';
import { connectClient, type RingraftClient } from './client/index.js';
import { type ClusterConfig, joinConfig, loadConfig } from './config/index.js';
import {
  buildLogger,
  type ClosableLogger,
  claimDataDirectory,
  type DaemonFlags,
  daemonUsage,
  keepHeapSmall,
  parseDaemonFlags,
} from './daemon/index.js';
import { openEngine } from './engine/index.js';
import { type NodeSurroundings, takeFaultsFrom } from './faults/index.js';
import { nodeSnapshotFiles, Store } from './kv/index.js';
import { beginningOf, ClusterNode, type DiskUsage, foundingMap, type Origin } from './meta/index.js';
import { initHash } from './ring/index.js';
import { startService } from './service/index.js';
import { type Bus, connectNats, lanes } from './transport/index.js';
import { nodeDisk, openWal } from './wal/index.js';

const exitCodes = { stopped: 0, error: 1, usage: 2, locked: 3 } as const;
/** Log entries kept in memory for members that lag, all shards together; and the same where none does. */
const logMemoryBytes = 12 * 1024 * 1024;
const trailingMemoryBytes = 4 * 1024 * 1024;
const connectPauseMs = 100;
const defaultConfig = 'cluster.config.json';

const packageVersion = (): string => {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
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
  const options = { overrides, env: process.env };
  if (flags.join === undefined) return loadConfig(flags.config ?? defaultConfig, options);
  const { cluster, zone, weight } = flags.join;
  return joinConfig(flags.config, { cluster, id: flags.node, zone, weight }, options);
}

function memberOf(config: ClusterConfig, node: string): NodeId {
  if (!isNodeId(node) || !config.nodes.some(({ id }) => id === node)) {
    const known = config.nodes.map(({ id }) => id).join(', ');
    throw new RingraftError(
      'CONFIG',
      `--node ${node}: the configuration names ${known}; with --join it can be any name`,
    );
  }
  return node;
}

type Running = { stop(): Promise<void> };

/** Of the file system of the data directory. */
async function diskUsageOf(directory: string): Promise<DiskUsage> {
  const { bsize, bavail, blocks, bfree } = await statfs(directory);
  return { freeBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize };
}

async function surroundingsFor({ faults }: DaemonFlags, logger: ClosableLogger): Promise<NodeSurroundings> {
  const real = { clock: systemClock, disk: nodeDisk() };
  return faults === undefined ? real : takeFaultsFrom(faults, real, logger);
}

/**
 * The client behind the public API. A node that starts while it is cut off serves its peers as soon as they are there, so
 * it waits for as long as it takes. undefined: told to stop before.
 */
async function connectOwnClient(
  { bus, clock, logger }: { readonly bus: Bus; readonly clock: Clock; readonly logger: ClosableLogger },
  cluster: string,
  stopping: AbortSignal,
): Promise<RingraftClient | undefined> {
  for (let isFirst = true; !stopping.aborted; isFirst = false) {
    try {
      return await connectClient(bus, { cluster, clock });
    } catch (error) {
      if (!isRingraftError(error) || error.code === 'CLOSED') throw error;
      if (isFirst) logger.warn({ code: error.code }, `waiting for the cluster: ${error.message}`);
      await pause(clock, connectPauseMs);
    }
  }
  return undefined;
}

async function start(
  flags: DaemonFlags,
  config: ClusterConfig,
  nodeId: NodeId,
  logger: ClosableLogger,
  stopping: AbortSignal,
): Promise<Running> {
  const version = packageVersion();
  const { cluster } = config;
  const directory = flags.data ?? join(config.dataDirectory, nodeId);
  await initHash();
  await claimDataDirectory(directory, { cluster, nodeId });
  const { clock, disk } = await surroundingsFor(flags, logger);
  const onFatal = (error: unknown): void => {
    // Nothing may be answered after this: no clean-up, no farewell to NATS.
    logger.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'stopping: fatal');
    logger.flush();
    process.exit(exitCodeOf(error));
  };
  const engine = openEngine(config.engine.type, join(directory, 'state'));
  await engine.open();
  const wal = await openWal(disk, {
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
    onFailure: onFatal,
  });
  const bus = await connectNats({ ...config.nats, name: `ringraft ${cluster} ${nodeId}` }, lanes);
  bus.onError((lane, error) => logger.error({ lane, code: error.code }, error.message));
  const close = async (): Promise<void> => {
    await bus.close();
    await store.close();
    await wal.close();
    await engine.close();
  };

  const origin: Origin =
    flags.join === undefined ? { type: 'found', map: foundingMap(config) } : { type: 'join', ...flags.join };
  const asked = beginningOf({ bus, clock, logger, store, stopping }, { cluster, nodeId, origin });
  const beginning = await asked.catch((error: unknown) => {
    if (isRingraftError(error, 'CLOSED')) return undefined;
    throw error;
  });
  if (beginning === undefined) return { stop: close };
  const shards = beginning.map.shards.length;
  const retainedLogBytes = Math.max(256 * 1024, Math.floor(logMemoryBytes / shards));
  const trailingLogBytes = Math.max(16 * 1024, Math.floor(trailingMemoryBytes / shards));
  const node = await ClusterNode.start(
    {
      clock,
      random: systemRandom,
      logger,
      bus,
      wal,
      store,
      snapshotFiles: files,
      onFatal,
      diskUsage: () => diskUsageOf(directory),
    },
    {
      nodeId,
      cluster,
      version,
      origin,
      raft: { ...config.raft, ...beginning.map.raft },
      limits: {
        ...config.limits,
        maxPendingWriteBytes: 64 * 1024 * 1024,
        trimEveryBytes: 8 * 1024 * 1024,
        packEveryBytes: 1024 * 1024,
        diskStallMs: 2 * config.raft.electionTimeoutMs,
        retainedLogBytes,
        trailingLogBytes,
      },
    },
    beginning,
  );
  const client = await connectOwnClient({ bus, clock, logger }, cluster, stopping);
  if (client === undefined) {
    return {
      async stop() {
        await node.stop();
        await close();
      },
    };
  }
  const service = startService(bus, client, { prefix: config.subjectPrefix, cluster, version, nodeId, clock });
  logger.info({ directory, servers: config.nats.servers, shards, version }, 'serving');
  return {
    async stop() {
      await service.stop();
      await node.stop();
      await client.close();
      await close();
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
  keepHeapSmall();
  const config = configFrom(flags);
  const nodeId = memberOf(config, flags.node);
  const format = flags.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json');
  const logger = buildLogger({ level: config.log.level, format, node: nodeId });
  const stopping = new AbortController();
  const starting = start(flags, config, nodeId, logger, stopping.signal);
  let asked = false;
  const stop = (signal: string): void => {
    if (asked) process.exit(exitCodes.error);
    asked = true;
    stopping.abort();
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
