/** cluster settings, cluster set: how the cluster manages itself. */
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { askView, order, viewIfManaged } from '../managing.js';
import { colorsFor, json, table } from '../output.js';
import { parseSettings, settingRows, settingsLine } from '../settings.js';
import { parserRules } from '../yargs.js';
import { type Command, texts } from './command.js';

export const clusterSettings: Command = {
  command: 'settings',
  describe: 'How the cluster manages itself at the moment',
  builder: (parser) => parser.example('$0 cluster settings', 'every setting, as `cluster set` takes it'),
  async run(context) {
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const { epoch, settings } = await askView(client, timeoutMs);
    if (context.args.output === 'json') {
      await write(io.out, json({ cluster: context.cluster, epoch, settings }));
      return exitCodes.ok;
    }
    const rows = settingRows(settings).map(({ name, value, meaning }) => [name, value, meaning]);
    const columns = [{ name: 'SETTING' }, { name: 'VALUE' }, { name: '' }];
    await write(io.out, table(columns, rows, colorsFor(io.out, io.env)));
    return exitCodes.ok;
  },
};

export const clusterSet: Command = {
  command: 'set <settings..>',
  describe: 'Change how the cluster manages itself, while it runs',
  builder: (parser) =>
    parser
      // Without it only the last of them would count.
      .parserConfiguration({ ...parserRules, 'duplicate-arguments-array': true })
      .positional('settings', { type: 'string', array: true, describe: 'name=value, several if you like' })
      .example('$0 cluster set maxMoves=8 downAfter=30s', 'names as in `cluster settings`, or max-moves')
      .example('$0 cluster set snapshotBytesPerSecond=64MiB rebalance=off', 'sizes with their unit; on, off')
      .example('$0 cluster set leaderZones=z1,z2', 'where leaders should be; leaderZones= is anywhere'),
  async run(context, args) {
    const set = parseSettings(texts(args, 'settings'));
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const epoch = await order(client, { op: 'settings', set }, timeoutMs);
    // It stands, whoever is the manager meanwhile.
    const settings = (await viewIfManaged(client, timeoutMs))?.settings ?? null;
    if (context.args.output === 'json') await write(io.out, json({ cluster: context.cluster, epoch, set, settings }));
    else await write(io.out, `epoch ${epoch}${settings === null ? '' : `: ${settingsLine(settings)}`}\n`);
    return exitCodes.ok;
  },
};
