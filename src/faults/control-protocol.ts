/**
 * Fault control between processes: `POST /<operation>` with a JSON body on a unix socket. The answer is `{"result": …}`,
 * or, with a status of 400 or more, `{"error": {code, message, happened, fields}}`.
 */
import { errorCodes, RingraftError } from '../base/index.js';
import { JsonReader } from './json-reader.js';
import type { FaultControl, Link, LinkEffect, LinkFault } from './types.js';

export const operations = ['inject', 'remove', 'heal', 'list', 'reset', 'probe'] as const;
export type Operation = (typeof operations)[number];

export type Answer = { readonly result: unknown } | { readonly error: unknown };

const mostProbeMs = 600_000;
const mostProbeBytes = 512 * 1024;

function readEffect(reader: JsonReader): LinkEffect {
  const cut = reader.field('cut').optional((each) => each.boolean());
  const number = (name: Exclude<keyof LinkEffect, 'cut'>): LinkEffect => {
    const value = reader.field(name).optional((each) => each.number());
    return value === undefined ? {} : { [name]: value };
  };
  return {
    ...(cut === undefined ? {} : { cut }),
    ...number('delayMs'),
    ...number('jitterMs'),
    ...number('lossShare'),
    ...number('bytesPerSecond'),
  };
}

const readLink = (reader: JsonReader): Link => ({
  from: reader.field('from').text(),
  to: reader.field('to').text(),
});

const readFault = (reader: JsonReader): LinkFault => ({
  id: reader.field('id').text(),
  description: reader.field('description').text(),
  effects: reader.field('effects').items((each) => ({ ...readLink(each), effect: readEffect(each.field('effect')) })),
});

/** Does what the body asks for; BAD_REQUEST when it asks for nothing there is. */
export async function perform(control: FaultControl, operation: Operation, body: unknown): Promise<unknown> {
  const reader = new JsonReader(body, operation, 'BAD_REQUEST');
  switch (operation) {
    case 'inject':
      await control.inject(readFault(reader.field('fault')));
      return null;
    case 'remove':
      return control.remove(reader.field('id').text());
    case 'heal':
      return control.heal();
    case 'list':
      return control.list();
    case 'reset':
      return control.reset(reader.field('links').items(readLink));
    case 'probe':
      return control.probe(
        Math.min(Math.max(reader.field('timeoutMs').number(), 0), mostProbeMs),
        Math.min(Math.max(reader.field('bytes').number(), 0), mostProbeBytes),
      );
  }
}

export const encodeError = ({ code, message, happened, fields }: RingraftError): unknown => ({
  code,
  message,
  happened,
  fields,
});

/** The error the server threw, or one that says that its answer makes no sense. */
export function decodeError(error: unknown): RingraftError {
  const reader = new JsonReader(error, 'error', 'UNREACHABLE');
  const fields = (error as { readonly fields?: Readonly<Record<string, unknown>> }).fields;
  return new RingraftError(reader.field('code').oneOf(errorCodes), reader.field('message').text(), {
    happened: reader.field('happened').oneOf(['no', 'unknown']),
    ...(fields === undefined ? {} : { fields }),
  });
}
