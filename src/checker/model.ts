/**
 * What a store of one key must do, as three pure functions, and what may be known about it without running it.
 */
import { assertNever } from '../base/index.js';
import type { OperationInput, OperationOutput } from './history.js';

/** A sequential specification of one key. States are immutable. */
export type Model<State> = {
  /** The state before the first operation. */
  init(): State;
  /**
   * The state after the operation, or undefined when this output is impossible in this state. An operation with an
   * unknown outcome does what it would do if it took effect now; that is always possible.
   */
  step(state: State, input: OperationInput, output: OperationOutput): State | undefined;
  /** The same text for equal states, different texts for different ones. */
  key(state: State): string;
  /** Without it every verdict is the same, but large histories take longer and failing ones are not shrunk. */
  readonly footprint?: Footprint<State>;
};

/**
 * What an operation touches. For models in which every change leaves one state that does not depend on the state before.
 */
export type Footprint<State> = {
  /** Possible in every state, and leaves the same state whatever was before. */
  isBlind(input: OperationInput, output: OperationOutput): boolean;
  /** The state it leaves when it changes anything; undefined when it never does. */
  leaves(input: OperationInput, output: OperationOutput): State | undefined;
  /** The only state in which it is possible; undefined when there are more. */
  needs(input: OperationInput, output: OperationOutput): State | undefined;
};

/** A key that holds a text, or null when it is absent. */
export const registerModel: Model<string | null> = {
  init: () => null,

  step(state, input, output) {
    switch (input.op) {
      case 'get':
        return isSeen(state, output) ? state : undefined;
      case 'put':
        return input.value;
      case 'delete':
        return isSeen(state, output) ? null : undefined;
      case 'cas': {
        const isMet = state === input.expected;
        if (output.kind === 'unknown') return isMet ? input.value : state;
        if (output.kind === 'ok') return isMet ? input.value : undefined;
        return !isMet && isSeen(state, output) ? state : undefined;
      }
      default:
        return assertNever(input, 'operation');
    }
  },

  key: (state) => (state === null ? '' : `=${state}`),

  footprint: {
    isBlind: (input, output) =>
      input.op === 'put' || (input.op === 'delete' && (output.kind !== 'ok' || output.found === undefined)),
    leaves(input, output) {
      if (input.op === 'get' || output.kind === 'refused') return undefined;
      return input.op === 'delete' ? null : input.value;
    },
    needs(input, output) {
      if (input.op === 'cas' && output.kind === 'ok') return input.expected;
      if (output.kind === 'unknown') return undefined;
      if (output.value !== undefined) return output.value;
      return output.kind === 'ok' && output.found === false ? null : undefined;
    },
  },
};

/** Whether an operation that met `state` can have reported this. */
function isSeen(state: string | null, output: OperationOutput): boolean {
  if (output.kind === 'unknown') return true;
  if (output.value !== undefined && output.value !== state) return false;
  return output.kind !== 'ok' || output.found === undefined || output.found === (state !== null);
}
