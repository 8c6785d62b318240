/** A broken invariant of ours: never an operating condition. It stops the node; nothing catches it to go on. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/**
 * States an invariant. Stays on in production: a node that is wrong about its own state must stop, not answer.
 * Pass the message as a string when it is constant, as a function when building it costs something.
 */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message());
}

/** Closes a union: a new member that some switch forgot fails the type check, and fails loudly at run time. */
export function assertNever(value: never, what = 'value'): never {
  throw new AssertionError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
