/** Moves of replicas as people see them. Pure. */
import type { ClusterView, MoveView } from '../wire/index.js';
import { type Colors, table } from './output.js';
import { counted, formatAge, formatCount } from './values.js';

export const phases: Readonly<Record<MoveView['phase'], string>> = {
  waiting: 'asks for a replica',
  copying: 'catches up',
  swapping: 'changes its voters',
  cleaning: 'clears the old one away',
};

export function progressText({ progress }: MoveView): string {
  if (progress === null) return '-';
  const { matchIndex, lastIndex } = progress;
  const percent = lastIndex === 0 ? 100 : Math.floor((100 * Math.min(matchIndex, lastIndex)) / lastIndex);
  return `${percent} % (${formatCount(matchIndex)} of ${formatCount(lastIndex)})`;
}

export function drawMoves(moves: readonly MoveView[], colors: Colors): string {
  const names = ['SHARD', 'FROM', 'TO', 'PHASE', 'ENTRIES', 'AGE'];
  const rows = moves.map((move) => [
    move.shardId === 0 ? 'system' : move.shardId,
    move.from.join(' ') || '(new)',
    move.to.join(' ') || '-',
    phases[move.phase],
    progressText(move),
    formatAge(move.ageMs),
  ]);
  const right = ['SHARD', 'ENTRIES', 'AGE'];
  return table(
    names.map((name) => ({ name, right: right.includes(name) })),
    rows,
    colors,
  );
}

export function movesSummary({ moves, waitingMoves }: Pick<ClusterView, 'moves' | 'waitingMoves'>): string {
  if (moves.length === 0 && waitingMoves === 0) return 'nothing moves';
  const waiting = waitingMoves === 0 ? '' : `, ${formatCount(waitingMoves)} wait`;
  return `${counted(moves.length, 'replica')} under way${waiting}`;
}
