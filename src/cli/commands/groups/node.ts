/** kvctl node. */
import type { Group } from '../command.js';
import { decommission, drain, nodeSet, recommission } from '../node-condition.js';
import { nodeList } from '../node-list.js';
import { nodeAdd, nodeRestart, nodeStart, nodeStop } from '../node-process.js';

export const node: Group = {
  name: 'node',
  describe: 'Look at the nodes, add and remove them, stop and start those on this machine',
  commands: [nodeList, drain, recommission, decommission, nodeSet, nodeAdd, nodeStart, nodeStop, nodeRestart],
};
