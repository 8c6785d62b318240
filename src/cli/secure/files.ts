/** Files of a secured directory: secrets are never readable by others, not even while they are written. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, RingraftError } from '../../base/index.js';

const openMode = 0o644;
const secretMode = 0o600;
const directoryMode = 0o700;

export class SecureFiles {
  private readonly names: string[] = [];

  constructor(readonly directory: string) {}

  /** Those that were written, in order. */
  get written(): readonly string[] {
    return this.names;
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }

  makeDirectory(): void {
    mkdirSync(this.directory, { recursive: true, mode: directoryMode });
    chmodSync(this.directory, directoryMode);
  }

  isEmpty(): boolean {
    try {
      return readdirSync(this.directory).length === 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
      throw new RingraftError('CONFIG', `cannot use ${this.directory}: ${messageOf(error)}`, { cause: error });
    }
  }

  read(name: string): string {
    try {
      return readFileSync(this.pathOf(name), 'utf8');
    } catch (cause) {
      throw new RingraftError('CONFIG', `cannot read ${this.pathOf(name)}: ${messageOf(cause)}`, { cause });
    }
  }

  write(name: string, text: string): void {
    this.replace(name, text, openMode);
  }

  writeSecret(name: string, text: string): void {
    this.replace(name, text, secretMode);
  }

  remove(name: string): void {
    rmSync(this.pathOf(name), { force: true });
  }

  private replace(name: string, text: string, mode: number): void {
    const path = this.pathOf(name);
    const temporary = `${path}.new`;
    rmSync(temporary, { force: true });
    writeFileSync(temporary, text, { mode, flag: 'wx' });
    renameSync(temporary, path);
    this.names.push(name);
  }
}
