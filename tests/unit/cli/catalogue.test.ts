/** Goal: a command that is loaded alone is the one that is found among all, under the word that calls it. */
import test from 'ava';
import { loadCommands } from '../../../src/cli/commands/catalogue.js';
import { type Command, type Group, nameOf } from '../../../src/cli/commands/command.js';

const dependencies = { connectLocal: () => Promise.reject(new Error('not asked for')), version: '9.9.9' };

const wordOf = (loaded: Command | Group): string => ('commands' in loaded ? loaded.name : nameOf(loaded));

test('what names a command loads it alone', async (t) => {
  const all = await loadCommands(undefined, dependencies);
  t.true(all.length > 20);
  for (const loaded of all) {
    const word = wordOf(loaded);
    t.deepEqual((await loadCommands(word, dependencies)).map(wordOf), [word]);
  }
});

test('what names none loads all: help, completion and suggestions are about all of them', async (t) => {
  const all = (await loadCommands(undefined, dependencies)).map(wordOf);
  t.is(new Set(all).size, all.length);
  for (const first of ['--help', '-o', 'gett', 'completion', '--get-yargs-completions', '', 'toString', '__proto__']) {
    t.deepEqual((await loadCommands(first, dependencies)).map(wordOf), all, first);
  }
});
