/** Installs a Debian package without starting the service that comes with it. */
import { spawnSync } from 'node:child_process';
import { RingraftError } from '../base/index.js';

const environment = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];

const works = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

export function installPackage(name: string, say: (text: string) => void): void {
  const isRoot = process.getuid?.() === 0;
  if (!works('apt-get', ['--version']) || !(isRoot || works('sudo', ['-n', 'true']))) {
    throw new RingraftError('DENIED', `cannot install ${name}: it takes apt-get, and root or sudo without a password`);
  }
  const [command, first] = isRoot ? ['env', []] : ['sudo', ['-n', 'env']];
  const apt = (args: readonly string[]): void => {
    const all = [...first, ...environment, 'apt-get', ...args];
    const { status, stderr } = spawnSync(command as string, all as string[], { encoding: 'utf8', stdio: 'pipe' });
    if (status !== 0) throw new RingraftError('UNREACHABLE', `apt-get ${args[0]} failed: ${stderr.trim()}`);
  };
  say(`installing ${name}`);
  apt(['update', '-q']);
  apt(['install', '-y', '-q', '--no-install-recommends', name]);
}
