/** When to try again. All times in milliseconds. */
import { type Random, randomBetween } from '../base/index.js';

/** How often deadlines, lost attempts and back-offs are looked at while anything is in flight. */
export const sweepIntervalMs = 10;
/** The same for operations that wait for room: there may be very many. */
export const waitingSweepIntervalMs = 50;
/** Nobody listened on a node's subject: for this long it is asked only when there is no other choice. */
export const downMs = 500;
/** A node that owes answers and was not heard for this long is probed, and again each time it passes. */
export const probeAfterMs = 40;
/** Hints followed at once before they are taken for a ping-pong. */
export const maxHops = 3;

const firstBackOffMs = 10;
const maxBackOffMs = 100;
const firstAttemptMs = 400;
const maxAttemptMs = 3200;

/** Jittered: clients that were refused together must not come back together. `nth` counts from 0. */
export function backOffMs(random: Random, nth: number): number {
  const most = Math.min(maxBackOffMs, firstBackOffMs * 2 ** Math.min(nth + 1, 10));
  return randomBetween(random, Math.ceil(most / 2), most);
}

/** How long an attempt may stay unanswered before it counts as lost, after `silences` that did. */
export const attemptTimeoutMs = (silences: number): number =>
  Math.min(maxAttemptMs, firstAttemptMs * 2 ** Math.min(silences, 10));
