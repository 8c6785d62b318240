/** Structured logging as a port: facts first, then what happened, in words that do not change. */
export type LogMethod = (fields: Readonly<Record<string, unknown>>, message: string) => void;

export type Logger = {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
};

const nothing: LogMethod = () => {};

/** For tests and tools that report in other ways. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
