/**
 * Goal: the kernel is told exactly what the links should be, on kernels that have all it takes and on those that have not.
 * Method: the commands are recorded instead of run.
 */
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError, seededRandom } from '../../../src/base/index.js';
import type { CommandResult, CommandRunner } from '../../../src/faults/command-runner.js';
import {
  addressOf,
  commandPrefix,
  flaky,
  type LinkFault,
  oneWay,
  prepareNetns,
  setUpNetns,
  slowConsumer,
  split,
  tearDownNetns,
  throttle,
} from '../../../src/faults/index.js';
import type { LinkBackEnd } from '../../../src/faults/link-back-end.js';
import { openNetnsBackEnd } from '../../../src/faults/netns-back-end.js';
import { type NetnsPlan, overlaps, planNetns } from '../../../src/faults/netns-plan.js';
import { shapeOf } from '../../../src/faults/shaping.js';

const hostNames = ['n1', 'n2'];

const plan: NetnsPlan = {
  id: 'abc',
  router: 'rr-abc-router',
  subnet: '10.1.2.0/24',
  rootDevice: 'rrabc',
  rootAddress: '10.1.2.2',
  gatewayAddress: '10.1.2.1',
  hosts: [
    { node: 'n1', namespace: 'rr-abc-n1', device: 'host0', address: '10.1.2.6', gatewayAddress: '10.1.2.5' },
    { node: 'n2', namespace: 'rr-abc-n2', device: 'host1', address: '10.1.2.10', gatewayAddress: '10.1.2.9' },
  ],
};

const done: CommandResult = { code: 0, stdout: '', stderr: '' };

class Recorder {
  readonly commands: string[] = [];
  readonly inputs: string[] = [];
  /** undefined: it works and prints nothing. */
  answer: (command: string) => Partial<CommandResult> | undefined = () => undefined;

  readonly run: CommandRunner = async (command, input = '') => {
    const text = command.join(' ');
    this.commands.push(text);
    if (input !== '') this.inputs.push(`${text}\n${input}`);
    return { ...done, ...this.answer(text) };
  };

  forget(): void {
    this.commands.length = 0;
    this.inputs.length = 0;
  }
}

const ports = hostNames.map((node) => ({ node, clientPort: 4222 }));

async function opened(recorder = new Recorder()) {
  const backEnd = await openNetnsBackEnd(plan, ports, recorder.run);
  recorder.forget();
  return { backEnd, recorder };
}

const inject = (backEnd: LinkBackEnd, ...plans: readonly Omit<LinkFault, 'id'>[]): Promise<void> => {
  const faults = plans.map((each, at) => ({ id: String(at), ...each }));
  return backEnd.apply(backEnd.links.map((link) => ({ ...link, shape: shapeOf(link, faults) })));
};

const table = (...rules: readonly string[]): string =>
  ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...rules, 'COMMIT', ''].join(
    '\n',
  );

const restore = (namespace: string): string => `ip netns exec ${namespace} iptables-legacy-restore\n`;

test('a cut is a rule of the router, for its direction; the whole table is replaced at once', async (t) => {
  const { backEnd, recorder } = await opened();
  await inject(backEnd, oneWay('n1', 'n2'));
  t.deepEqual(recorder.inputs, [restore('rr-abc-router') + table('-A FORWARD -s 10.1.2.6 -d 10.1.2.10 -j DROP')]);
  recorder.forget();
  await inject(backEnd, oneWay('n1', 'n2'));
  t.deepEqual(recorder.commands, [], 'nothing changes, nothing is run');
  await inject(backEnd);
  t.deepEqual(recorder.inputs, [restore('rr-abc-router') + table()]);
});

test('loss is a rule with a probability, a split one rule each way', async (t) => {
  const { backEnd, recorder } = await opened();
  await inject(backEnd, flaky('n1', 'n2', { lossShare: 0.25 }));
  const lossy = '-m statistic --mode random --probability 0.250000 -j DROP';
  const wanted = [`-A FORWARD -s 10.1.2.6 -d 10.1.2.10 ${lossy}`, `-A FORWARD -s 10.1.2.10 -d 10.1.2.6 ${lossy}`];
  t.deepEqual(recorder.inputs, [restore('rr-abc-router') + table(...wanted)]);
  recorder.forget();
  await inject(backEnd, split([['n1'], ['n2']]));
  t.is(recorder.inputs[0]?.match(/-j DROP/g)?.length, 2);
});

test('rate and delay are a class of the interface towards the receiver, by who sends', async (t) => {
  const { backEnd, recorder } = await opened();
  const effect = { bytesPerSecond: 5000, delayMs: 20, jitterMs: 4 };
  const late = { description: '', effects: [{ from: 'nats-n1', to: 'nats-n2', effect }] };
  await backEnd.check(late.effects);
  t.deepEqual(recorder.commands, [
    'tc -n rr-abc-router qdisc add dev lo root netem delay 1ms',
    'tc -n rr-abc-router qdisc delete dev lo root',
  ]);
  await backEnd.check(late.effects);
  t.is(recorder.commands.length, 2, 'tried once');
  recorder.forget();
  await inject(backEnd, late);
  const lines = [
    'qdisc add dev host1 root handle 1: htb default 1',
    'class add dev host1 parent 1: classid 1:1 htb rate 10gbit quantum 60000',
    'class add dev host1 parent 1: classid 1:10 htb rate 5000bps quantum 1514',
    'filter add dev host1 parent 1: protocol ip prio 1 u32 match ip src 10.1.2.6/32 flowid 1:10',
    'qdisc add dev host1 parent 1:10 handle 10: netem limit 100000 delay 20ms 4ms',
    '',
  ];
  t.deepEqual(recorder.inputs, [`tc -n rr-abc-router -batch -\n${lines.join('\n')}`]);
  recorder.forget();
  await inject(backEnd);
  t.deepEqual(recorder.commands, ['tc -n rr-abc-router qdisc delete dev host1 root']);
});

test('delay alone leaves the rate open; a rate alone takes no netem', async (t) => {
  const { backEnd, recorder } = await opened();
  await inject(backEnd, flaky('n1', 'n2', { delayMs: 1 }));
  t.is(
    recorder.inputs.filter((input) => /classid 1:10 htb rate 10gbit.*netem .* delay 1ms 0ms/s.test(input)).length,
    2,
  );
  recorder.forget();
  await inject(backEnd, throttle('n1', 'n2', 1000));
  t.notRegex(recorder.inputs.join(), /netem/);
  t.is(recorder.commands.filter((command) => command.includes('qdisc delete')).length, 2, 'the old queues go first');
});

test('a kernel without netem is told so, for delays only', async (t) => {
  const { backEnd, recorder } = await opened();
  recorder.answer = (command) =>
    command.includes('netem') ? { code: 2, stderr: 'Error: Specified qdisc kind is unknown.' } : undefined;
  const error = await t.throwsAsync(backEnd.check(flaky('n1', 'n2', { jitterMs: 5 }).effects), {
    message: 'this kernel cannot delay packets: it lacks netem (sch_netem)',
  });
  t.true(isRingraftError(error, 'BAD_REQUEST'));
  await backEnd.check(flaky('n1', 'n2', { lossShare: 0.5 }).effects);
  await backEnd.check(throttle('n1', 'n2', 5).effects);
  t.is(recorder.commands.length, 1);
});

test('a change that failed is made whole by the next', async (t) => {
  const { backEnd, recorder } = await opened();
  recorder.answer = (command) => (command.includes('-batch') ? { code: 1, stderr: 'no memory' } : undefined);
  await t.throwsAsync(inject(backEnd, throttle('n1', 'n2', 1000)), { message: /-batch -` failed: no memory/ });
  recorder.answer = () => undefined;
  recorder.forget();
  await inject(backEnd);
  t.true(recorder.commands.includes('tc -n rr-abc-router qdisc delete dev host1 root'));
});

test('between a node and its broker only cuts and losses are possible: rules on its loopback', async (t) => {
  const { backEnd, recorder } = await opened();
  await inject(backEnd, slowConsumer('n2'));
  const rule = '-A INPUT -i lo -p tcp --sport 4222 -j DROP';
  t.deepEqual(recorder.inputs, [restore('rr-abc-router') + table(), restore('rr-abc-n2') + table(rule)].slice(1));
  const effects = [{ from: 'n2', to: 'nats-n2', effect: { delayMs: 5 } }];
  await t.throwsAsync(backEnd.check(effects), { message: /n2 -> nats-n2 is inside one network namespace/ });
  await backEnd.check(slowConsumer('n2').effects);
  recorder.forget();
  await inject(backEnd, { description: '', effects: [{ from: 'n2', to: 'nats-n2', effect: { lossShare: 0.5 } }] });
  t.regex(recorder.inputs.join(), /-i lo -p tcp --dport 4222 -m statistic/);
});

test('a reset ends the sockets at both hosts and counts each connection once', async (t) => {
  const { backEnd, recorder } = await opened();
  const seen = ['tcp 0 0 10.1.2.6:40000 10.1.2.10:6222', 'tcp 0 0 10.1.2.10:6222 10.1.2.6:40000'];
  recorder.answer = (command) => ({ stdout: `${seen[command.includes('rr-abc-n1') ? 0 : 1]}\n` });
  const links = [
    { from: 'nats-n1', to: 'nats-n2' },
    { from: 'nats-n2', to: 'nats-n1' },
  ];
  t.is(await backEnd.reset(links.slice(0, 1)), 1);
  t.deepEqual(recorder.commands, [
    'ip netns exec rr-abc-n1 ss -HntK state established dst 10.1.2.10',
    'ip netns exec rr-abc-n2 ss -HntK state established dst 10.1.2.6',
  ]);
  t.is(await backEnd.reset(links), 1);
  recorder.answer = () => ({ stderr: 'SOCK_DESTROY answers: Operation not supported' });
  t.true(isRingraftError(await t.throwsAsync(backEnd.reset(links)), 'BAD_REQUEST'));
});

test('the newer iptables is used where the older is not, and none is refused', async (t) => {
  const recorder = new Recorder();
  recorder.answer = (command) => (command.startsWith('iptables-legacy-restore') ? { code: 127 } : undefined);
  const backEnd = await openNetnsBackEnd(plan, ports, recorder.run);
  recorder.forget();
  await inject(backEnd, oneWay('n1', 'n2'));
  t.deepEqual(recorder.commands, ['ip netns exec rr-abc-router iptables-restore']);
  recorder.answer = (command) => (command.startsWith('iptables') ? { code: 127 } : undefined);
  await t.throwsAsync(openNetnsBackEnd(plan, ports, recorder.run), {
    message: 'iptables is not installed (Debian: apt-get install iptables)',
  });
});

test('a new server forgets what an earlier one left in force', async (t) => {
  const recorder = new Recorder();
  await openNetnsBackEnd(plan, ports, recorder.run);
  t.deepEqual(
    recorder.inputs,
    ['router', 'n1', 'n2'].map((name) => restore(`rr-abc-${name}`) + table()),
  );
  t.is(recorder.commands.filter((command) => / qdisc delete dev host[01] root/.test(command)).length, 2);
});

test('a plan avoids every network this machine has a way to', async (t) => {
  const recorder = new Recorder();
  // All of 10.0.0.0/8 but 10.128.0.0/16.
  const taken = Array.from({ length: 256 }, (_, at) => `10.${at}.0.0/16`).filter((each) => each !== '10.128.0.0/16');
  const routes = [{ dst: 'default' }, {}, { dst: '10.128.7.9' }, ...taken.map((dst) => ({ dst }))];
  recorder.answer = () => ({ stdout: JSON.stringify(routes) });
  const random = { nextU32: () => 0 };
  const made = await prepareNetns(hostNames, seededRandom(5), recorder.run).catch(() => undefined);
  t.true(made === undefined || /^10\.128\./.test(made.subnet));
  const error = t.throws(() => planNetns(hostNames, ['10.0.0.0/8'], random));
  t.true(isRingraftError(error, 'BAD_REQUEST'));
  t.true(overlaps('10.1.2.0/24', '10.1.2.9') && overlaps('10.1.0.0/16', '10.1.2.0/24'));
  t.false(overlaps('10.1.2.0/24', '10.1.3.0/24'));
});

test('where iptables is not installed nothing is planned, and the error says what to install', async (t) => {
  const run: CommandRunner = async ([program = '']) => {
    return { code: program.startsWith('iptables') ? 127 : 0, stdout: '[]', stderr: '' };
  };
  const error = await t.throwsAsync(prepareNetns(hostNames, seededRandom(5), run));
  t.true(isRingraftError(error, 'BAD_REQUEST'));
  t.regex((error as Error).message, /apt-get install iptables/);
});

test('names are short enough and addresses distinct, inside the network', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 63 }), fc.nat(), (count, seed) => {
      const nodes = Array.from({ length: count }, (_, at) => `n${at + 1}`);
      const made = planNetns(nodes, [], seededRandom(seed));
      const addresses = [made.rootAddress, made.gatewayAddress];
      for (const { address, gatewayAddress } of made.hosts) addresses.push(address, gatewayAddress);
      t.is(new Set(addresses).size, addresses.length);
      for (const address of addresses) {
        t.true(overlaps(made.subnet, address));
        t.true(Number(address.split('.')[3]) < 255);
      }
      for (const name of [made.rootDevice, ...made.hosts.map(({ device }) => device)]) t.true(name.length <= 15);
    }),
  );
  t.throws(() =>
    planNetns(
      Array.from({ length: 64 }, (_, at) => `n${at}`),
      [],
      seededRandom(1),
    ),
  );
});

test('what is set up is routed by the router alone, and torn down by the recorded names', async (t) => {
  const recorder = new Recorder();
  await setUpNetns(plan, recorder.run);
  t.is(recorder.commands.length, 9 + 8 * 2);
  t.deepEqual(
    recorder.commands.filter((command) => command.includes('forward')),
    ['ip netns exec rr-abc-router sysctl -qw net.ipv4.ip_forward=1'],
  );
  t.true(recorder.commands.includes('ip route add 10.1.2.0/24 via 10.1.2.1'));
  t.true(recorder.commands.includes('ip -n rr-abc-n2 route add default via 10.1.2.9'));
  recorder.forget();
  recorder.answer = () => ({ code: 1, stderr: 'Cannot remove namespace file "x": No such file or directory' });
  await tearDownNetns(plan, recorder.run);
  t.deepEqual(recorder.commands, [
    'ip link delete dev rrabc',
    'ip netns delete rr-abc-n1',
    'ip netns delete rr-abc-n2',
    'ip netns delete rr-abc-router',
  ]);
  recorder.answer = () => ({ code: 1, stderr: 'Operation not permitted' });
  await t.throwsAsync(tearDownNetns(plan, recorder.run), { message: /not all was removed.*rrabc.*rr-abc-router/ });
});

test('a set-up that fails leaves nothing behind and says why', async (t) => {
  const recorder = new Recorder();
  recorder.answer = (command) =>
    command.includes('veth') ? { code: 2, stderr: 'Operation not permitted' } : undefined;
  const error = await t.throwsAsync(setUpNetns(plan, recorder.run), { message: /take root on Linux.*not permitted/ });
  t.true(isRingraftError(error, 'BAD_REQUEST'));
  t.deepEqual(recorder.commands.slice(-1), ['ip netns delete rr-abc-router']);
});

test('a host is known by its node', (t) => {
  t.deepEqual(commandPrefix(plan, 'n2'), ['ip', 'netns', 'exec', 'rr-abc-n2']);
  t.is(addressOf(plan, 'n1'), '10.1.2.6');
  t.throws(() => addressOf(plan, 'n9'), { message: 'there is no namespace of n9' });
});
