/** kvctl shard. */
import type { Group } from '../command.js';
import { rebuild } from '../rebuild.js';
import { shardInfo } from '../shard-info.js';
import { shardList } from '../shard-list.js';
import { shardMove, shardMoves } from '../shard-move.js';
import { transferLeader } from '../shard-transfer.js';

export const shard: Group = {
  name: 'shard',
  describe: 'Look at and steer single shards',
  commands: [shardList, shardInfo, shardMoves, shardMove, transferLeader, rebuild],
};
