/** Programs of the system as a port, so that tests see what would be run. */
import { spawn } from 'node:child_process';
import { RingraftError } from '../base/index.js';

export type CommandResult = { readonly code: number; readonly stdout: string; readonly stderr: string };

export type CommandRunner = (command: readonly string[], input?: string) => Promise<CommandResult>;

/** What a shell says of a program that is not there. */
const notFoundCode = 127;

export const runCommand: CommandRunner = ([program = '', ...args], input = '') =>
  new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    // A program that does not read what it is told says why by its code.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error) => resolve({ code: notFoundCode, stdout: '', stderr: error.message }));
    child.on('close', (code) => {
      resolve({ code: code ?? 1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });

/** What it printed; BAD_REQUEST with what it said when it failed. */
export async function mustRun(run: CommandRunner, command: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, input);
  if (code === 0) return stdout;
  throw new RingraftError('BAD_REQUEST', `\`${command.join(' ')}\` failed: ${stderr.trim() || `exit code ${code}`}`, {
    fields: { command },
  });
}
