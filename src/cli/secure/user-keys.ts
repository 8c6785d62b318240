/** Key pairs of NATS users. The only file that imports nkeys.js. */
import { createUser, fromSeed } from 'nkeys.js';
import { RingraftError } from '../../base/index.js';

/** What proves to be the user; the server has only the public key. */
export const newSeed = (): string => Buffer.from(createUser().getSeed()).toString();

export function publicKeyOf(seed: string, path: string): string {
  try {
    return fromSeed(Buffer.from(seed.trim())).getPublicKey();
  } catch (cause) {
    throw new RingraftError('CONFIG', `${path} holds no seed of an nkey user`, { cause });
  }
}
