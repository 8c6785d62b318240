import type { History, OperationRecord } from './history.js';
export type Verdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly key: string; readonly operations: readonly OperationRecord[] }
  | { readonly ok: 'unknown'; readonly key: string };
export const checkHistory = (_history: History): Verdict => ({ ok: true });
