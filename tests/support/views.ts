/** What a manager answers in tests: what a test does not say is as in a small healthy cluster. */
import { nodeId, shardId } from '../../src/base/index.js';
import type { ClusterView, ManagerAnswer, ManagerRequest, MoveView, NodeView } from '../../src/wire/index.js';
import { usualSettings } from './maps.js';

export const aNodeView = (id: string, fields: Partial<NodeView> = {}): NodeView => ({
  id: nodeId(id),
  zone: `z${id.slice(1)}`,
  weight: 1,
  condition: 'up',
  liveness: 'alive',
  lastHeardAgoMs: 40,
  replicas: 1,
  leaving: 0,
  preferredLeaders: 0,
  ...fields,
});

export const aView = (nodes: readonly NodeView[], fields: Partial<ClusterView> = {}): ClusterView => ({
  epoch: 42,
  manager: nodeId('n1'),
  nodes,
  moves: [],
  waitingMoves: 0,
  problems: [],
  settings: usualSettings,
  ...fields,
});

export const threeNodes = (): NodeView[] => ['n1', 'n2', 'n3'].map((id) => aNodeView(id));

export const aMove = (fields: Partial<MoveView> = {}): MoveView => ({
  shardId: shardId(7),
  from: [nodeId('n1')],
  to: [nodeId('n4')],
  phase: 'copying',
  ageMs: 1500,
  progress: { matchIndex: 50, lastIndex: 200 },
  ...fields,
});

type Turn = ClusterView | Error;

/** A manager that answers views one after the other, the last one for ever, and orders as `onOrder` says. */
export function managing(
  turns: readonly Turn[],
  onOrder: (request: ManagerRequest) => ManagerAnswer = () => ({ done: true, epoch: 43 }),
): (request: ManagerRequest) => ManagerAnswer {
  let at = 0;
  return (request) => {
    if (request.op !== 'view') return onOrder(request);
    const turn = turns[Math.min(at++, turns.length - 1)] as Turn;
    if (turn instanceof Error) throw turn;
    return { view: turn };
  };
}
