/** Ends a file of system tests that hangs. No threshold for what works: on a slow machine a file takes minutes. */
export const hangGuardMs = 900_000;
