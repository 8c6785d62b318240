/**
 * The ring in the terminal: cut open and laid flat, a row for every node, a cell (or several) for every shard. What a
 * mark says it says without colour; colours only help the eye to follow a node.
 */
import type { Colors } from '../output.js';
import { type Layout, percent } from './layout.js';

const mostSections = 8;
const leads = '█';
const holds = '▒';
const nothing = '·';
/** Where several shards share a cell: of how many of them the node holds a replica. */
const shades = [nothing, '░', '▒', '▓', '█'] as const;

const ringPositions = 0x1_0000_0000;

type Paint = (text: string) => string;

/** Colours of the nodes in turn. */
const paintsOf = (colors: Colors): readonly Paint[] => [
  colors.cyan,
  colors.yellow,
  colors.magenta,
  colors.green,
  colors.blue,
  colors.red,
];

type Cells = {
  /** Shards of one cell; 1 unless there are very many. */
  readonly shardsPerCell: number;
  readonly cellsPerShard: number;
  readonly cellsPerSection: number;
};

function cellsFor(shardCount: number, width: number): Cells {
  if (shardCount <= width) {
    const cellsPerShard = Math.floor(width / shardCount);
    return { shardsPerCell: 1, cellsPerShard, cellsPerSection: shardCount };
  }
  const shardsPerCell = Math.ceil(shardCount / (width * mostSections));
  const cells = Math.ceil(shardCount / shardsPerCell);
  // Sections of the same length, and of a round number of shards where that fits.
  const even = Math.ceil(cells / Math.ceil(cells / width));
  const rounded = Math.ceil(even / 16) * 16;
  return { shardsPerCell, cellsPerShard: 1, cellsPerSection: rounded <= width ? rounded : even };
}

/** Numbers of shards above their cells, as many as stand apart. */
function scale(
  first: number,
  count: number,
  { shardsPerCell, cellsPerShard }: Cells,
  idAt: (at: number) => number,
): string {
  const longest = String(idAt(first + (count - 1) * shardsPerCell)).length;
  let step = 1;
  while (step * cellsPerShard <= longest) step *= 2;
  let line = '';
  for (let cell = 0; cell < count; cell += step) {
    line = line.padEnd(cell * cellsPerShard) + String(idAt(first + cell * shardsPerCell));
  }
  return line;
}

function mark(id: string, shards: Layout['shards']): string {
  if (shards.length === 1) {
    const replicas = shards[0]?.replicas as readonly string[];
    if (replicas[0] === id) return leads;
    return replicas.includes(id) ? holds : nothing;
  }
  const held = shards.filter(({ replicas }) => (replicas as readonly string[]).includes(id)).length;
  return shades[Math.ceil((held / shards.length) * (shades.length - 1))] as string;
}

/** At most `columns` wide. */
export function drawRing({ nodes, shards }: Layout, columns: number, colors: Colors): string {
  if (shards.length === 0) return '';
  const labelWidth = Math.max(...nodes.map(({ id, zone }) => id.length + zone.length)) + 3;
  const cells = cellsFor(shards.length, Math.max(16, columns - labelWidth - 1));
  const perSection = cells.cellsPerSection * cells.shardsPerCell;
  const paints = paintsOf(colors);
  const idAt = (at: number): number => shards[Math.min(at, shards.length - 1)]?.shardId as number;
  // Where there is room a blank keeps neighbours apart.
  const gap = cells.cellsPerShard > 2 ? 1 : 0;
  const lines: string[] = [];
  for (let first = 0; first < shards.length; first += perSection) {
    const part = shards.slice(first, first + perSection);
    const count = Math.ceil(part.length / cells.shardsPerCell);
    const [from, to] = [part[0]?.start as number, part.at(-1)?.end as number];
    if (perSection < shards.length) {
      lines.push(colors.dim(`${percent(from / ringPositions)} to ${percent(to / ringPositions)} of the ring`));
    }
    lines.push(`${'shard'.padEnd(labelWidth)}${colors.dim(scale(first, count, cells, idAt))}`);
    for (const [at, { id, zone }] of nodes.entries()) {
      let row = '';
      for (let cell = 0; cell < count; cell++) {
        const own = part.slice(cell * cells.shardsPerCell, (cell + 1) * cells.shardsPerCell);
        row += mark(id, own)
          .repeat(cells.cellsPerShard - gap)
          .padEnd(cells.cellsPerShard);
      }
      const paint = paints[at % paints.length] as Paint;
      lines.push(`${`${id} ${zone}`.padEnd(labelWidth)}${paint(row.trimEnd())}`);
    }
    lines.push('');
  }
  lines.push(
    cells.shardsPerCell === 1
      ? `${leads} should lead   ${holds} has a replica   ${nothing} has none`
      : `replicas of ${cells.shardsPerCell} shards a cell: ${shades[0]} none ${shades.slice(1).join(' ')} all`,
  );
  return `${lines.join('\n')}\n`;
}
