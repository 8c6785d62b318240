/** Commands below a word of their own: `kvctl cluster status`. */
import { bucketConfig, bucketInfo } from './bucket-config.js';
import { bucketCreate } from './bucket-create.js';
import { bucketList } from './bucket-list.js';
import { bucketRemove } from './bucket-remove.js';
import { clusterHistory } from './cluster-history.js';
import { clusterSet, clusterSettings } from './cluster-settings.js';
import { clusterStatus } from './cluster-status.js';
import type { Command } from './command.js';
import { faultCommands } from './fault.js';
import { faultHeal, faultList, faultProbe } from './fault-heal.js';
import { decommission, drain, nodeSet, recommission } from './node-condition.js';
import { nodeList } from './node-list.js';
import { nodeAdd, nodeRestart, nodeStart, nodeStop } from './node-process.js';
import { rebuild } from './rebuild.js';
import { rollingRestart } from './rolling-restart.js';
import { shardInfo } from './shard-info.js';
import { shardList } from './shard-list.js';
import { shardMove, shardMoves } from './shard-move.js';
import { transferLeader } from './shard-transfer.js';

export type Group = { readonly name: string; readonly describe: string; readonly commands: readonly Command[] };

export const groups: readonly Group[] = [
  {
    name: 'cluster',
    describe: 'Look at and steer the cluster as a whole',
    commands: [clusterStatus, clusterHistory, clusterSettings, clusterSet, rollingRestart],
  },
  {
    name: 'node',
    describe: 'Look at the nodes, add and remove them, stop and start those on this machine',
    commands: [nodeList, drain, recommission, decommission, nodeSet, nodeAdd, nodeStart, nodeStop, nodeRestart],
  },
  {
    name: 'shard',
    describe: 'Look at and steer single shards',
    commands: [shardList, shardInfo, shardMoves, shardMove, transferLeader, rebuild],
  },
  {
    name: 'bucket',
    describe: 'Create, look at, change and remove buckets: key spaces of their own',
    commands: [bucketList, bucketInfo, bucketCreate, bucketConfig, bucketRemove],
  },
  {
    name: 'fault',
    describe: 'Do harm to the cluster on this machine: partitions, dead nodes, bad disks and clocks',
    commands: [...faultCommands, faultHeal, faultList, faultProbe],
  },
];
