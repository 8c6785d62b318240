/** Goal: the fault server takes what the supervisor writes, and says where a file is wrong. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { isRingraftError, seededRandom } from '../../../src/base/index.js';
import { brokerConfig, type FaultServerConfig } from '../../../src/faults/index.js';
import { planNetns } from '../../../src/faults/netns-plan.js';
import { parseFaultServerConfig, readFaultServerConfig } from '../../../src/faults/server-config.js';
import { inDirectory } from '../../support/temporary-directory.js';

const common = { controlSocket: '/tmp/x.sock', hosts: [{ node: 'n1', address: '127.0.0.1', clientPort: 4222 }] };

const configs: readonly FaultServerConfig[] = [
  {
    ...common,
    backEnd: 'proxy',
    pairs: [{ from: 'nats-n1', to: 'nats-n2', listenPort: 1, targetPort: 2 }],
    nodes: [{ node: 'n1', listenPort: 3, targetPort: 4222 }],
  },
  { ...common, backEnd: 'netns', netns: planNetns(['n1', 'n2'], [], seededRandom(1)) },
];

test('both kinds read back as they were written', async (t) => {
  await inDirectory('faults', async (directory) => {
    const path = join(directory, 'faults.json');
    for (const config of configs) {
      writeFileSync(path, JSON.stringify(config));
      t.deepEqual(readFaultServerConfig(path), config);
    }
    t.true(
      isRingraftError(
        t.throws(() => readFaultServerConfig(join(directory, 'none'))),
        'CONFIG',
      ),
    );
  });
});

test('what is wrong is named by its place', (t) => {
  const [proxy] = configs;
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ ...proxy, backEnd: 'magic' }, /config\.backEnd: has to be proxy or netns/],
    [{ ...proxy, hosts: [{ node: 'n1', address: 'a', clientPort: 70_000 }] }, /config\.hosts\[0\]\.clientPort/],
    [{ ...proxy, pairs: undefined }, /config\.pairs: has to be an array/],
    [{ ...proxy, nodes: [{}] }, /config\.nodes\[0\]\.node: has to be a text/],
    [{ ...common, backEnd: 'netns' }, /config\.netns: has to be an object/],
  ];
  for (const [value, message] of wrong) {
    const error = t.throws(() => parseFaultServerConfig(value), { message });
    t.true(isRingraftError(error, 'CONFIG'));
  }
});

test('a broker advertises an address where nobody listens, and dials only what it is told', (t) => {
  const text = brokerConfig({
    name: 'nats-n1',
    clusterName: 'local',
    host: '127.0.0.1',
    clientPort: 4222,
    routePort: 6222,
    routes: ['127.0.0.1:7001', '127.0.0.1:7002'],
    writeDeadlineMs: 2000,
    maxPendingBytes: 1_048_576,
  });
  const wanted = [
    'advertise: "127.0.0.1:1"',
    'no_advertise: true',
    'routes: ["nats://127.0.0.1:7001", "nats://127.0.0.1:7002"]',
    'ping_interval: "1000ms"',
    'ping_max: 2',
    'write_deadline: "2000ms"',
    'max_pending: 1048576',
  ];
  for (const line of wanted) t.true(text.includes(`${line}\n`), line);
});
