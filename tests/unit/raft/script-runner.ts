/**
 * Raft scripts: blocks of comment lines, commands, `----`, and what the commands must say. A blank line ends a block;
 * a block may be comment alone. `UPDATE_SCRIPTS=1` writes down what was said instead of comparing it: read the result.
 */
import { ScriptCluster } from './script-cluster.js';

const separator = '----';
/** For commands that say nothing. */
const silence = 'ok';

export type Block = {
  readonly line: number;
  readonly comments: readonly string[];
  readonly commands: readonly string[];
  readonly expected: readonly string[];
};

export function parseScript(text: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = text.split('\n');
  let at = 0;
  while (at < lines.length) {
    const start = at;
    while (at < lines.length && lines[at]?.trim() !== '') at++;
    const block = lines.slice(start, at);
    at++;
    if (block.length === 0) continue;
    const comments = block.filter((line) => line.startsWith('#'));
    const rest = block.filter((line) => !line.startsWith('#'));
    const split = rest.includes(separator) ? rest.indexOf(separator) : rest.length;
    blocks.push({
      line: start + 1,
      comments,
      commands: rest.slice(0, split),
      expected: rest.slice(split + 1),
    });
  }
  return blocks;
}

/** Every block with what its commands say now. */
export function runScript(blocks: readonly Block[]): readonly (Block & { readonly actual: readonly string[] })[] {
  const cluster = new ScriptCluster();
  return blocks.map((block) => {
    try {
      const said = block.commands.flatMap((command) => cluster.perform(command));
      return { ...block, actual: block.commands.length === 0 ? [] : said.length === 0 ? [silence] : said };
    } catch (error) {
      throw new Error(`line ${block.line}: ${(error as Error).message}`, { cause: error });
    }
  });
}

export const formatScript = (blocks: readonly (Block & { readonly actual: readonly string[] })[]): string =>
  blocks
    .map(({ comments, commands, actual }) => {
      const said = commands.length === 0 ? [] : [...commands, separator, ...actual];
      return `${[...comments, ...said].join('\n')}\n`;
    })
    .join('\n');
