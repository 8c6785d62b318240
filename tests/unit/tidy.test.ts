/** Goal: the layering and tidiness rules hold, and the check that says so can fail. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';

type File = { readonly path: string; readonly text: string };
type Checker = {
  check(files: readonly File[]): string[];
  foldersWithoutIndex(files: readonly File[]): string[];
  readTree(): readonly File[];
};

const checker = (await import(pathToFileURL(join(process.cwd(), 'scripts', 'check-layers.mjs')).href)) as Checker;

test('the tree keeps to its rules', (t) => {
  t.true(checker.readTree().length > 100);
  t.deepEqual(checker.check(checker.readTree()), []);
  t.deepEqual(checker.foldersWithoutIndex(checker.readTree()), []);
});

const breach = (path: string, text: string): string => checker.check([{ path, text }]).join('\n');

test('the check finds what breaks the rules', (t) => {
  t.regex(breach('src/raft/a.ts', "import { x } from '../wal/index.js';\n"), /src\/raft may import only base/);
  t.regex(breach('src/raft/a.ts', "import type { X } from '../wal/index.js';\n"), /imports src\/wal/);
  t.regex(breach('src/host/a.ts', "import { x } from '../wal/log.js';\n"), /past its index/);
  t.regex(breach('src/host/a.ts', "import { connect } from 'nats';\n"), /only src\/transport\/nats-bus.ts may/);
  t.regex(breach('src/host/CamelCase.ts', ''), /kebab-case/);
  t.regex(breach('src/host/a.ts', '\n'.repeat(501)), /more than 500 lines/);
  t.regex(breach('src/unknown/a.ts', ''), /no rule/);
  t.regex(breach('src/raft/a.ts', "const x = await import('../wal/index.js');\n"), /imports src\/wal: not allowed/);
  t.regex(breach('src/base/a.ts', "import { x } from '../../tests/support/x.js';\n"), /outside src/);
  t.regex(breach('src/host/a.ts', "import { connectNats } from '../transport/index.js';\n"), /imports connectNats/);
  t.regex(
    breach('src/kv/a.ts', "import {\n  type Engine,\n  openEngine,\n} from '../engine/index.js';\n"),
    /openEngine/,
  );
  // Put together here, so that this file holds none of them.
  t.regex(breach('tests/unit/a.test.ts', ['test', "only('x', run);\n"].join('.')), /one test alone/);
  for (const word of ['as a' + 'ny', '@ts-' + 'ignore', 'TO' + 'DO', 'FIX' + 'ME']) {
    t.regex(breach('src/base/a.ts', `x ${word};\n`), /a silenced type/, word);
  }
  t.deepEqual(checker.foldersWithoutIndex([{ path: 'src/raft/a.ts', text: '' }]), ['raft']);
  const cycle = checker.check([
    { path: 'src/wire/a.ts', text: "import { x } from '../raft/index.js';\n" },
    { path: 'src/raft/b.ts', text: "import { x } from '../wire/index.js';\n" },
  ]);
  t.true(cycle.some((line) => line.includes('cycle of folders')));
});

test('the check lets pass what the rules allow', (t) => {
  t.is(breach('src/main.ts', "import { connectNats } from './transport/index.js';\n"), '');
  t.is(breach('src/transport/index.ts', "export { connectNats } from './nats-bus.js';\n"), '');
  t.is(breach('src/host/a.ts', "import { type Bus, lanes } from '../transport/index.js';\n"), '');
  t.is(breach('src/transport/nats-bus.ts', "import { connect } from 'nats';\n"), '');
  t.is(breach('tests/unit/host/a.test.ts', "import { openEngine } from '../../../src/engine/index.js';\n"), '');
});
