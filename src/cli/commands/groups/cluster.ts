/** kvctl cluster. */
import { clusterHistory } from '../cluster-history.js';
import { clusterSet, clusterSettings } from '../cluster-settings.js';
import { clusterStatus } from '../cluster-status.js';
import type { Group } from '../command.js';
import { rollingRestart } from '../rolling-restart.js';

export const cluster: Group = {
  name: 'cluster',
  describe: 'Look at and steer the cluster as a whole',
  commands: [clusterStatus, clusterHistory, clusterSettings, clusterSet, rollingRestart],
};
