/** kvctl fault. */
import type { Group } from '../command.js';
import { faultCommands } from '../fault.js';
import { faultHeal, faultList, faultProbe } from '../fault-heal.js';

export const fault: Group = {
  name: 'fault',
  describe: 'Do harm to the cluster on this machine: partitions, dead nodes, bad disks and clocks',
  commands: [...faultCommands, faultHeal, faultList, faultProbe],
};
