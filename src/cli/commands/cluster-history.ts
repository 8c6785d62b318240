/** cluster history: how the map became what it is. */
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { askHistory } from '../managing.js';
import { colorsFor, json, table } from '../output.js';
import { formatTime, parseCount } from '../values.js';
import { type Command, optionalText, text } from './command.js';

export const clusterHistory: Command = {
  command: 'history',
  describe: 'Changes of the cluster map: when, what, why; the newest last',
  builder: (parser) =>
    parser
      .option('limit', { type: 'string', default: '20', requiresArg: true, describe: 'So many changes' })
      .option('before', { type: 'string', requiresArg: true, describe: 'Only changes before this epoch' })
      .example('$0 cluster history', 'the last 20 changes')
      .example('$0 cluster history --before 40 --limit 100', 'older ones')
      .example('$0 cluster history -o json', 'with all that each of them changed'),
  async run(context, args) {
    const limit = parseCount(text(args, 'limit'), '--limit', 1);
    const before = optionalText(args, 'before');
    const beforeEpoch = before === undefined ? undefined : parseCount(before, '--before', 1);
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const newestFirst = await askHistory(client, limit, beforeEpoch, timeoutMs);
    const changes = [...newestFirst].sort((a, b) => a.epoch - b.epoch);
    if (context.args.output === 'json') {
      await write(io.out, json({ cluster: context.cluster, changes }));
      return exitCodes.ok;
    }
    const rows = changes.map(({ epoch, atMs, kind, summary }) => [epoch, formatTime(atMs), kind, summary]);
    const columns = [{ name: 'EPOCH', right: true }, { name: 'TIME' }, { name: 'KIND' }, { name: 'SUMMARY' }];
    await write(io.out, table(columns, rows, colorsFor(io.out, io.env)));
    const oldest = changes[0]?.epoch ?? 0;
    if (changes.length >= limit && oldest > 1) io.err.write(`there may be older ones: --before ${oldest}\n`);
    return exitCodes.ok;
  },
};
