#!/usr/bin/env node
// Writes docs/cluster.config.schema.json, which editors check configurations with, from the compiled sources.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const build = join(root, process.env.RINGRAFT_BUILD ?? 'dist');
const { configJsonSchema } = await import(pathToFileURL(join(build, 'src', 'config', 'index.js')).href);
writeFileSync(join(root, 'docs', 'cluster.config.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
