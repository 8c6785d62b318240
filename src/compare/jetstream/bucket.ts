/** The KV bucket as JetStream knows it: a stream of which each key is a subject. As `js.views.kv` of nats.js makes it. */
import { asBuffer } from '../../base/index.js';
import { PeerError } from '../peer.js';
import type { BrokerRequests } from './broker-request.js';

const bucket = 'compare';
const stream = `KV_${bucket}`;

/** A message on it is a put; the answer says that a majority has it. */
export const subjectOf = (key: string): string => `$KV.${bucket}.${key}`;
/** Answered by any replica with the newest message it has for the key. */
export const directGetSubject = (key: string): string => `$JS.API.DIRECT.GET.${stream}.${subjectOf(key)}`;

const configuration = {
  name: stream,
  subjects: [`$KV.${bucket}.>`],
  retention: 'limits',
  storage: 'file',
  num_replicas: 3,
  max_msgs_per_subject: 1,
  max_consumers: -1,
  max_msgs: -1,
  max_bytes: -1,
  max_msg_size: -1,
  max_age: 0,
  discard: 'new',
  deny_delete: true,
  allow_rollup_hdrs: true,
  allow_direct: true,
};

type Answer = {
  readonly error?: { readonly description?: string };
  readonly config?: typeof configuration;
  readonly cluster?: { readonly leader?: string; readonly replicas?: readonly { readonly current?: boolean }[] };
};

async function ask(requests: BrokerRequests, subject: string, body: unknown): Promise<Answer> {
  const { payload } = await requests.request(subject, asBuffer(Buffer.from(JSON.stringify(body))));
  const answer = JSON.parse(payload.toString()) as Answer;
  if (answer.error !== undefined) throw new PeerError('REFUSED', answer.error.description ?? 'JetStream refused');
  return answer;
}

/** Rejects while the servers are not ready for it. */
export async function createBucket(requests: BrokerRequests): Promise<void> {
  const { config } = await ask(requests, `$JS.API.STREAM.CREATE.${stream}`, configuration);
  const isAsAsked = config?.num_replicas === 3 && config.storage === 'file' && config.allow_direct === true;
  if (!isAsAsked) throw new PeerError('REFUSED', 'the bucket is not what was asked for');
}

/** Name of the server that leads the stream, once all its replicas have caught up. */
export async function bucketLeader(requests: BrokerRequests): Promise<string> {
  const { cluster } = await ask(requests, `$JS.API.STREAM.INFO.${stream}`, {});
  const { leader = '', replicas = [] } = cluster ?? {};
  const isWhole = leader !== '' && replicas.length === 2 && replicas.every(({ current }) => current === true);
  if (!isWhole) throw new PeerError('NOT_READY', 'the stream has no leader, or its replicas are behind');
  return leader;
}
