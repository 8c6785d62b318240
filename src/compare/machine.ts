/** What is measured on. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';

export type Machine = {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  /** Where the data of all systems are. */
  readonly disk: string;
  readonly node: string;
};

/** Kind of file system and device; `unknown` where it cannot be told. */
function diskOf(directory: string): string {
  try {
    const text = execFileSync('df', ['--output=source,fstype', directory], { encoding: 'utf8', stdio: 'pipe' });
    const [source = '', kind = ''] = (text.trim().split('\n')[1] ?? '').split(/\s+/);
    return source === '' ? 'unknown' : `${kind} on ${source}`;
  } catch {
    return 'unknown';
  }
}

export const machineOf = (directory: string): Machine => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 1e9),
  system: `${type()} ${release()}`,
  disk: diskOf(directory),
  node: process.version,
});

/** What others have written is not to be on its way to the disk while the next one is measured. */
export function writeBack(): void {
  try {
    execFileSync('sync', { stdio: 'ignore' });
  } catch {
    // Then it is measured a little less quietly.
  }
}
