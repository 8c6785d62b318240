/** How kvctl gets into the cluster on this machine: as its administrator, where it is secured. */
import { join } from 'node:path';
import { type ClusterConfig, loadConfig } from '../../config/index.js';
import { configFileOf } from '../secure/directory.js';
import type { LocalState } from './state.js';

/** undefined: everybody on this machine may connect. */
export const localConfig = ({ secureDirectory }: LocalState): ClusterConfig | undefined =>
  secureDirectory === undefined ? undefined : loadConfig(join(secureDirectory, configFileOf('admin')));
