/** What nodes tell of each other and what does not fit together. Pure. */
import type { SurveyedNode } from './survey.js';
import { formatAge } from './values.js';

export type Heard = { readonly by: string; readonly heardAgoMs: number | null; readonly isSilent: boolean };

/** A node that dies is noticed by one a little before the other: that is no disagreement. */
const clearlyMs = 500;

/** What the nodes that answer tell of one of them. */
export const heardOf = (id: string, nodes: readonly SurveyedNode[]): readonly Heard[] =>
  nodes.flatMap((node) =>
    (node.status?.peers ?? [])
      .filter((peer) => peer.nodeId === id && node.id !== id)
      .map(({ heardAgoMs, isSilent }) => ({ by: node.id, heardAgoMs, isSilent })),
  );

const age = ({ heardAgoMs }: Heard): number => heardAgoMs ?? Number.POSITIVE_INFINITY;

const since = ({ heardAgoMs }: Heard): string => (heardAgoMs === null ? 'never' : `not for ${formatAge(heardAgoMs)}`);

export function linkWarnings(nodes: readonly SurveyedNode[]): readonly string[] {
  return nodes.flatMap((node) => {
    const all = heardOf(node.id, nodes);
    const hears = all.filter(({ isSilent }) => !isSilent);
    const freshestMs = Math.min(...hears.map(age));
    const deaf = all.filter((heard) => heard.isSilent && age(heard) - freshestMs > clearlyMs);
    if (hears.length > 0 && deaf.length > 0) {
      const told = deaf.map((heard) => `${heard.by} does not (${since(heard)})`).join(', ');
      const others = hears.map(({ by }) => by).join(', ');
      return [`${others} ${hears.length > 1 ? 'hear' : 'hears'} ${node.id}, ${told}: a link that works one way only?`];
    }
    const isUnheard = all.length > 0 && hears.length === 0;
    if (node.state === 'up' && isUnheard) return [`${node.id} answers here, but no other node hears it`];
    return [];
  });
}
