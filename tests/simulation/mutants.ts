export type MutantName = 'none';
export const applyMutant = (_name: MutantName): void => {};
