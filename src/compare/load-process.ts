/**
 * A load process: does what its parent says, one order after the other, so that what the client costs is told apart from
 * what the servers cost. Ends when its parent does.
 */
import { messageOf, RingraftError } from '../base/index.js';
import { connect } from '../cli/index.js';
import { connectNats } from '../transport/index.js';
import { loadDataset, runClosedLoop } from './closed-loop.js';
import { connectEtcd } from './etcd/client.js';
import { connectJetStream } from './jetstream/client.js';
import type { Order, Report } from './load-protocol.js';
import type { PeerClient, Target } from './peer.js';
import { connectRingraft } from './ringraft/client.js';

const progressEveryKeys = 10_000;

function connectTo({ peer, servers }: Target): Promise<PeerClient> {
  switch (peer) {
    case 'ringraft':
      return connectRingraft(servers, connect);
    case 'etcd':
      return connectEtcd(servers);
    case 'jetstream':
    case 'jetstream-sync':
      return connectJetStream(servers, (url) => connectNats({ servers: [url], name: 'compare' }, ['client']));
  }
}

const tell = (report: Report): void => {
  process.send?.(report);
};

let client: PeerClient | undefined;

async function obey(order: Order): Promise<void> {
  if (order.type === 'connect') {
    client = await connectTo(order.target);
    tell({ type: 'connected', routes: client.routes });
    return;
  }
  if (client === undefined) throw new RingraftError('CLOSED', 'not connected');
  if (order.type === 'run') {
    const counts = await runClosedLoop(client, order.job, (edge) => tell({ type: 'window', edge }));
    tell({ type: 'counted', counts });
    return;
  }
  await client.takeRoute(order.route);
  let loaded = 0;
  const counts = await loadDataset(client, order.dataset, (keys) => {
    loaded += keys;
    if (loaded < progressEveryKeys) return;
    tell({ type: 'progress', keys: loaded });
    loaded = 0;
  });
  tell({ type: 'counted', counts });
}

// The terminal's Ctrl-C is for the parent, which ends this process when it is time.
for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (order: Order) => {
  obey(order).catch((error: unknown) => {
    const isKnown = error instanceof RingraftError;
    tell({ type: 'failed', message: isKnown ? messageOf(error) : String((error as Error).stack ?? error) });
  });
});
