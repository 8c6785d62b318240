/** The faults that can be injected, as data: what a script asks for, what a nemesis draws, what a record of a run holds. */
import { assertNever, formatDuration } from '../base/index.js';

export type FaultSpec =
  | { readonly kind: 'split'; readonly groups: readonly (readonly string[])[] }
  | { readonly kind: 'isolate'; readonly node: string }
  | { readonly kind: 'bridge'; readonly node: string }
  | { readonly kind: 'majorities-ring' }
  | { readonly kind: 'one-way'; readonly from: string; readonly to: string }
  | {
      readonly kind: 'flaky';
      readonly nodes: readonly [string, string];
      readonly lossShare: number;
      readonly delayMs: number;
      readonly jitterMs: number;
    }
  | { readonly kind: 'throttle'; readonly nodes: readonly [string, string]; readonly bytesPerSecond: number }
  | { readonly kind: 'reset'; readonly nodes: readonly [string, string] }
  | { readonly kind: 'slow-consumer'; readonly node: string }
  | { readonly kind: 'kill'; readonly node: string }
  | { readonly kind: 'pause'; readonly node: string }
  | { readonly kind: 'broker-restart'; readonly node: string }
  | { readonly kind: 'disk-full'; readonly node: string }
  | { readonly kind: 'disk-slow'; readonly node: string; readonly delayMs: number }
  | { readonly kind: 'clock-jump'; readonly node: string; readonly offsetMs: number };

export type FaultKind = FaultSpec['kind'];

/** Every kind, in the order of the documentation. */
export const faultKinds = [
  'split',
  'isolate',
  'bridge',
  'majorities-ring',
  'one-way',
  'flaky',
  'throttle',
  'reset',
  'slow-consumer',
  'kill',
  'pause',
  'broker-restart',
  'disk-full',
  'disk-slow',
  'clock-jump',
] as const satisfies readonly FaultKind[];

/** One line for people, in the words of the scripts. */
export function describeFault(spec: FaultSpec): string {
  switch (spec.kind) {
    case 'split':
      return `split ${spec.groups.map((group) => group.join(',')).join(' | ')}`;
    case 'majorities-ring':
      return spec.kind;
    case 'one-way':
      return `one-way ${spec.from} -> ${spec.to}`;
    case 'flaky': {
      const { lossShare, delayMs, jitterMs, nodes } = spec;
      return `flaky ${nodes.join(' ')} --loss ${Math.round(lossShare * 100)}% --delay ${formatDuration(delayMs)}±${formatDuration(jitterMs)}`;
    }
    case 'throttle':
      return `throttle ${spec.nodes.join(' ')} --rate ${spec.bytesPerSecond}B`;
    case 'reset':
      return `reset ${spec.nodes.join(' ')}`;
    case 'disk-slow':
      return `disk-slow ${spec.node} --delay ${formatDuration(spec.delayMs)}`;
    case 'clock-jump':
      return `clock-jump ${spec.node} ${spec.offsetMs < 0 ? '-' : '+'}${formatDuration(Math.abs(spec.offsetMs))}`;
    case 'isolate':
    case 'bridge':
    case 'slow-consumer':
    case 'kill':
    case 'pause':
    case 'broker-restart':
    case 'disk-full':
      return `${spec.kind} ${spec.node}`;
    default:
      return assertNever(spec, 'fault');
  }
}
