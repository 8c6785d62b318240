/** What an application may use: whole buckets, or the keys of a bucket that begin with certain tokens. */
import { RingraftError } from '../../base/index.js';

export type Grant = {
  readonly bucket: string;
  /** Tokens that every key begins with, and at least one more; undefined: the whole bucket. */
  readonly keyTokens: readonly string[] | undefined;
};

export type Application = { readonly name: string; readonly grants: readonly Grant[] };

const nameRule = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** Printable, and neither a wildcard of NATS nor a mark of the command line. */
const keyTokenRule = /^[!#-)+\--9;-=?-[\]-~]+$/;
const inWords = 'lower-case letters, digits, - and _, at most 63';

const wrong = (message: string): RingraftError => new RingraftError('BAD_REQUEST', message);

export function parseName(text: string, what: string): string {
  if (nameRule.test(text)) return text;
  throw wrong(`${what}: ${JSON.stringify(text)} is no name: ${inWords}`);
}

/** `orders`, or `orders.web.>`. */
export function parseGrant(text: string): Grant {
  const [bucket = '', ...rest] = text.split('.');
  parseName(bucket, 'a bucket');
  if (rest.length === 0) return { bucket, keyTokens: undefined };
  const keyTokens = rest.slice(0, -1);
  const isPrefix = rest.at(-1) === '>' && keyTokens.length > 0 && keyTokens.every((token) => keyTokenRule.test(token));
  if (isPrefix) return { bucket, keyTokens };
  throw wrong(`${JSON.stringify(text)}: give a bucket, or the beginning of its keys as bucket.tokens.>`);
}

export const grantText = ({ bucket, keyTokens }: Grant): string =>
  keyTokens === undefined ? bucket : [bucket, ...keyTokens, '>'].join('.');

/** Of `name:grant` and the grants that follow it, up to the next name. */
export function parseApplications(items: readonly string[]): readonly Application[] {
  const applications: { name: string; grants: Grant[] }[] = [];
  for (const item of items) {
    const colon = item.indexOf(':');
    if (colon >= 0) applications.push({ name: parseName(item.slice(0, colon), 'an application'), grants: [] });
    const last = applications.at(-1);
    if (last === undefined) throw wrong(`${JSON.stringify(item)}: give the application's name, as NAME:bucket`);
    last.grants.push(parseGrant(item.slice(colon + 1)));
  }
  const names = applications.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined) throw wrong(`the application ${twice} is named twice; its buckets go behind one name`);
  return applications;
}
