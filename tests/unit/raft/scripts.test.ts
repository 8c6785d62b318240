/**
 * Goal: the core behaves, message by message, as the stories in tests/unit/testdata/raft tell, and those agree with the
 * Raft paper and thesis. Method: each script is run against real cores and compared with what it expects.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { formatScript, parseScript, runScript } from './script-runner.js';

const directory = join(process.cwd(), 'tests', 'unit', 'testdata', 'raft');
const mayUpdate = process.env.UPDATE_SCRIPTS === '1';

for (const name of readdirSync(directory).filter((file) => file.endsWith('.txt'))) {
  test(`script ${name}`, (t) => {
    const path = join(directory, name);
    const blocks = runScript(parseScript(readFileSync(path, 'utf8')));
    if (mayUpdate) writeFileSync(path, formatScript(blocks));
    else for (const { line, expected, actual } of blocks) t.deepEqual(actual, expected, `line ${line}`);
    const told = blocks.filter(({ commands }) => commands.length > 0);
    t.true(told.length >= 5, 'a story has some steps');
    t.true(
      told.every(({ comments }) => comments.length > 0),
      'every step says why',
    );
  });
}
