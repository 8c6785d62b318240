/** The node's log: pino, for people on a terminal, JSON lines otherwise. The only file that imports pino. */
import { pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';
import type { Logger } from '../base/index.js';

export type LoggingOptions = {
  readonly level: string;
  readonly format: 'pretty' | 'json';
  readonly node: string;
};

export type ClosableLogger = Logger & { /** Writes what is left, at once. */ flush(): void };

export function buildLogger({ level, format, node }: LoggingOptions): ClosableLogger {
  const destination =
    format === 'pretty'
      ? pretty({ colorize: process.stdout.isTTY, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname', sync: true })
      : pino.destination({ dest: 1, sync: true });
  const logger = pino({ level, base: { node }, timestamp: stdTimeFunctions.isoTime }, destination);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush: () => logger.flush(),
  };
}
