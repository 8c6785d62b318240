/** Many cases in few rows: for each size and step the worst of all zones and weights. */
import { type Case, type Step, type StepName, stepNames } from './sequence.js';

export type CaseResult = { readonly given: Case; readonly steps: readonly Step[] };

export type Row = {
  readonly nodes: number;
  readonly shards: number;
  readonly step: StepName;
  readonly plans: number;
  readonly highest: number;
  readonly lowest: number;
  readonly deviation: number;
  readonly moved: number;
  readonly ideal: number;
  /** The worst of one plan; null where nothing had to move. */
  readonly ratio: number | null;
  readonly zoneViolations: number;
  /** Where all nodes weigh the same. */
  readonly leaderRange: number;
  readonly leaderFurthest: number;
  readonly planMs: number;
  readonly leadersMs: number;
};

const worst = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), 0);
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** A whole replica more than a broken ideal is no fault. */
export const ratioOf = ({ moved, ideal }: Pick<Step, 'moved' | 'ideal'>): number | null =>
  ideal === 0 ? null : moved / Math.ceil(ideal);

export function summarize(results: readonly CaseResult[]): readonly Row[] {
  const sizes = new Map(results.map(({ given }) => [`${given.nodes} ${given.shards}`, given]));
  return [...sizes.values()].flatMap(({ nodes, shards }) => {
    const own = results.filter(({ given }) => given.nodes === nodes && given.shards === shards);
    return stepNames.flatMap((step): readonly Row[] => {
      const found = own.flatMap(({ given, steps }) =>
        steps.filter(({ name }) => name === step).map((each) => ({ ...each, weights: given.weights })),
      );
      if (found.length === 0) return [];
      const of = (value: (each: Step) => number): readonly number[] => found.map(value);
      const ratios = found.map(ratioOf).filter((ratio) => ratio !== null);
      return [
        {
          nodes,
          shards,
          step,
          plans: found.length,
          highest: worst(of(({ highest }) => highest)),
          lowest: Math.min(...of(({ lowest }) => lowest)),
          deviation: worst(of(({ deviation }) => deviation)),
          moved: sum(of(({ moved }) => moved)),
          ideal: sum(of(({ ideal }) => ideal)),
          ratio: ratios.length === 0 ? null : worst(ratios),
          zoneViolations: sum(of(({ zoneViolations }) => zoneViolations)),
          leaderRange: worst(
            found
              .filter(({ name, weights }) => weights === 'equal' && !isReweighted(name))
              .map((each) => each.leaderRange),
          ),
          leaderFurthest: worst(of(({ leaderFurthest }) => leaderFurthest)),
          planMs: worst(of(({ planMs }) => planMs)),
          leadersMs: worst(of(({ leadersMs }) => leadersMs)),
        },
      ];
    });
  });
}

/** From where weights change on, not all nodes weigh the same. */
const isReweighted = (name: StepName): boolean => stepNames.indexOf(name) >= stepNames.indexOf('weights change');
