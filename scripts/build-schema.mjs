#!/usr/bin/env node
// Writes docs/cluster.config.schema.json from the configuration's schema; run it after changing src/config/schema.ts.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configJsonSchema } from '../dist/src/config/index.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
writeFileSync(join(root, 'docs', 'cluster.config.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
