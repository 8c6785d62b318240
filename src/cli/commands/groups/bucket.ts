/** kvctl bucket. */
import { bucketConfig, bucketInfo } from '../bucket-config.js';
import { bucketCreate } from '../bucket-create.js';
import { bucketList } from '../bucket-list.js';
import { bucketRemove } from '../bucket-remove.js';
import type { Group } from '../command.js';

export const bucket: Group = {
  name: 'bucket',
  describe: 'Create, look at, change and remove buckets: key spaces of their own',
  commands: [bucketList, bucketInfo, bucketCreate, bucketConfig, bucketRemove],
};
