/** Operations in words, for sentences and pictures. */
import { assertNever } from '../base/index.js';
import type { Call, Operation, Outcome } from './operation.js';

const mostValueLength = 28;

/** Long values keep their beginning and their end. */
export function short(text: string, most = mostValueLength): string {
  if (text.length <= most) return text;
  const kept = Math.max(2, most - 1);
  return `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
}

/** Without the tag that places it. */
export const keyName = (key: string): string => key.replace(/\{[^}]*\}/, '');

export function callInWords(call: Call): string {
  switch (call.op) {
    case 'get':
      return call.available === true ? `read (${call.level}, available)` : `read (${call.level})`;
    case 'put':
      return putInWords(call);
    case 'delete':
      return 'delete';
    case 'incr':
      return `incr ${call.by}`;
    case 'append':
      return `append ${short(call.value)}`;
    default:
      return assertNever(call, 'call');
  }
}

function putInWords(call: Extract<Call, { op: 'put' }>): string {
  const value = short(call.value);
  if (call.ifAbsent === true) return `cas absent → ${value}`;
  if (call.ifValue !== undefined) return `cas ${short(call.ifValue)} → ${value}`;
  if (call.ifRevision !== undefined) return `cas #${call.ifRevision} → ${value}`;
  return `put ${value}`;
}

export function outcomeInWords({ op }: Call, outcome: Outcome): string {
  switch (outcome.kind) {
    case 'ok':
      if (op === 'get') return answerInWords(outcome);
      if (op === 'delete') return outcome.found === false ? 'not there' : 'ok';
      return outcome.number === undefined ? 'ok' : String(outcome.number);
    case 'refused':
      return 'refused';
    case 'failed':
      return `failed ${outcome.code}`;
    case 'unknown':
      return `unknown ${outcome.code}`;
    default:
      return assertNever(outcome, 'outcome');
  }
}

function answerInWords({ value, level, maybeStale }: Extract<Outcome, { kind: 'ok' }>): string {
  const seen = value === null || value === undefined ? 'absent' : short(value);
  return maybeStale === true ? `${seen} (${level}, maybe stale)` : seen;
}

export const inWords = ({ call, outcome }: Operation): string =>
  `${callInWords(call)}: ${outcomeInWords(call, outcome)}`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(3)} s`;

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
