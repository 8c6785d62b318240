/** What --add and --remove ask for. */
import { isNodeId, type NodeId, RingraftError } from '../../base/index.js';
import { closest } from '../../config/index.js';
import type { PlacementNode } from '../../ring/index.js';
import { parseNodeId, parseWeight, parseZone } from '../values.js';

const wrong = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

/** Several are separated by commas; `run` makes one such list of an option that is given several times. */
const listOf = (given: string | undefined): readonly string[] => given?.split(',') ?? [];

const numberPattern = /^\d+(\.\d+)?$/;

/** `n4:z4`, `n4:z4:2` or `n4:2:z4`. With three parts a number in the middle is the weight, unless the last is one too. */
function parseNode(given: string): PlacementNode {
  const [id = '', second = '', third, ...rest] = given.split(':');
  const isWeightFirst = third !== undefined && numberPattern.test(second) && !numberPattern.test(third);
  const [zone, weightText] = isWeightFirst ? [third, second] : [second, third ?? '1'];
  if (zone === '' || rest.length > 0) {
    throw wrong(`--add takes node:zone, node:zone:weight or node:weight:zone, not ${given}`);
  }
  return {
    id: parseNodeId(id, '--add'),
    zone: parseZone(zone, `--add ${given}`),
    weight: parseWeight(weightText, `--add ${given}`),
  };
}

export type Changes = { readonly added: readonly PlacementNode[]; readonly removed: readonly NodeId[] };

export function parseChanges(add: string | undefined, remove: string | undefined): Changes {
  const added = listOf(add).map(parseNode);
  const removed = listOf(remove).map((id) => {
    if (!isNodeId(id)) throw wrong(`--remove: ${JSON.stringify(id)} is no node id`);
    return id;
  });
  const seen = new Set<string>();
  for (const id of [...added.map((node) => node.id), ...removed]) {
    if (seen.has(id)) throw wrong(`${id} is given more than once`);
    seen.add(id);
  }
  return { added, removed };
}

/** The nodes after the changes. */
export function changedNodes(nodes: readonly PlacementNode[], { added, removed }: Changes): readonly PlacementNode[] {
  const known = nodes.map(({ id }): string => id);
  for (const { id } of added) if (known.includes(id)) throw wrong(`--add: ${id} is in the cluster already`);
  for (const id of removed) {
    if (known.includes(id)) continue;
    const guess = closest(id, known);
    throw wrong(`--remove: there is no node ${id}${guess === undefined ? '' : `; did you mean ${guess}?`}`);
  }
  return [...nodes.filter(({ id }) => !removed.includes(id)), ...added];
}
