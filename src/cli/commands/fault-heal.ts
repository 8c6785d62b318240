/** fault ls, heal, probe: what is in force, its end, and who hears whom. */
import { RingraftError } from '../../base/index.js';
import { describeFault, healAll, removeFault } from '../../faults/index.js';
import { exitCodes } from '../exit-codes.js';
import { undoText } from '../fault-words.js';
import { write } from '../io.js';
import { colorsFor, json, table } from '../output.js';
import { counted, formatDuration } from '../values.js';
import { type Command, optionalText } from './command.js';
import { faultGroundOf } from './fault.js';

const probeMs = 1000;

export const faultList: Command = {
  command: 'ls',
  describe: 'The faults in force',
  async run(context) {
    const { io, args } = context;
    const entries = faultGroundOf(context).ledger.list();
    if (args.output === 'json') {
      const rows = entries.map(({ id, spec, sinceMs }) => ({
        id,
        fault: spec,
        since: new Date(sinceMs).toISOString(),
      }));
      await write(io.out, json(rows));
      return exitCodes.ok;
    }
    if (entries.length === 0) {
      io.err.write('no fault is in force\n');
      return exitCodes.ok;
    }
    const rows = entries.map(({ id, spec, sinceMs }) => {
      const seconds = Math.max(0, Math.round((context.clock.wallMs() - sinceMs) / 1000));
      return [id, describeFault(spec), formatDuration(1000 * seconds), undoText(spec, id)];
    });
    const columns = [{ name: 'ID' }, { name: 'FAULT' }, { name: 'FOR', right: true }, { name: 'UNDO' }];
    await write(io.out, table(columns, rows, colorsFor(io.out, io.env)));
    return exitCodes.ok;
  },
};

export const faultHeal: Command = {
  command: 'heal [id]',
  describe: 'End one fault, or all: processes run again, links are whole',
  builder: (parser) => parser.positional('id', { type: 'string', describe: 'As `kvctl fault ls` shows it' }),
  async run(context, args) {
    const { io } = context;
    const ground = faultGroundOf(context);
    const id = optionalText(args, 'id');
    const found = ground.ledger.list().filter((entry) => id === undefined || entry.id === id);
    if (id === undefined) await healAll(ground);
    else {
      const [entry] = found;
      if (entry === undefined) throw new RingraftError('NOT_FOUND', `no fault ${id} is in force`);
      await removeFault(ground, entry);
    }
    const ids = found.map((entry) => entry.id);
    if (context.args.output === 'json') await write(io.out, json({ healed: ids }));
    else await write(io.out, `healed ${ids.length === 0 ? 'nothing: no fault was in force' : ids.join(', ')}\n`);
    return exitCodes.ok;
  },
};

export const faultProbe: Command = {
  command: 'probe',
  describe: 'Send a message from every nats-server to every other: who hears whom',
  async run(context) {
    const { io, args } = context;
    const ground = faultGroundOf(context);
    if (ground.control === undefined) {
      throw new RingraftError('BAD_REQUEST', 'all nodes share one nats-server; see `kvctl up --topology clustered`');
    }
    const reaches = await ground.control.probe(probeMs);
    if (args.output === 'json') {
      await write(io.out, json(reaches));
      return exitCodes.ok;
    }
    const colors = colorsFor(io.out, io.env);
    const names = [...new Set(reaches.map(({ from }) => from))];
    const cell = (from: string, to: string): string => {
      if (from === to) return '·';
      const reach = reaches.find((each) => each.from === from && each.to === to);
      if (reach?.reached !== true) return colors.red('-');
      return colors.green(`${(reach.afterMs ?? 0).toFixed(1)} ms`);
    };
    const rows = names.map((from) => [from, ...names.map((to) => cell(from, to))]);
    const columns = [{ name: 'FROM' }, ...names.map((name) => ({ name: `TO ${name}`, right: true }))];
    await write(io.out, table(columns, rows, colors));
    const silent = reaches.filter(({ reached }) => !reached).length;
    io.err.write(silent === 0 ? 'all hear all\n' : `${counted(silent, 'direction')} silent\n`);
    return exitCodes.ok;
  },
};
