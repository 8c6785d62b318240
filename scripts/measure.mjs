#!/usr/bin/env node
// `npm run measure -- NAME [options]`: set up what is missing, then run one of the programs of tests/measure. They take
// long and want a machine of their own, so `npm test` leaves them out.
import { bootstrap } from './bootstrap.mjs';

const programs = {
  failover: 'kills leaders: how long until their shards take writes again',
  idle: 'what a cluster costs that nobody asks for anything',
  restart: 'loads many keys; how long nodes need to come back with them',
  elections: 'full load for long: no shard changes its leader',
  join: 'a fourth node joins three under load',
  death: 'a node dies for good: the others take over what it held',
  drain: 'a node is drained, and the manager is killed in the middle of it',
  rolling: 'every node is restarted under load, one after another',
  churn: 'nodes come and go at random: clients must see one linearizable store',
  shards: 'clusters of several numbers of shards come up, serve, restart and grow',
  counts: 'messages, syncs, bytes, copies and memory of an operation; takes seconds, and any machine',
};
const [name] = process.argv.splice(2, 1);
if (!Object.hasOwn(programs, name ?? '')) {
  const list = Object.entries(programs).map(([each, what]) => `  ${each.padEnd(12)}${what}\n`);
  const isAsked = name === '--help' || name === '-h';
  const text = `npm run measure -- NAME [options] [-o json]    (NAME --help: its options)\n${list.join('')}`;
  process[isAsked ? 'stdout' : 'stderr'].write(text);
  process.exit(isAsked ? 0 : 2);
}
await bootstrap({ natsServer: true });
await import(`../dist/tests/measure/${name}.js`);
