/** NATS service discovery (ADR-32): PING, INFO and STATS, asked of all services, of ours by name, or of one of ours. */
import type { Bus, BusSubscription } from '../transport/index.js';
import { queueGroup } from '../wire/index.js';
import type { EndpointStatistics } from './statistics.js';

export const serviceName = 'ringraft';

export type ServiceIdentity = {
  readonly id: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAtMs: number;
};

const description = 'A strongly consistent, sharded key-value store';
const verbs = ['PING', 'INFO', 'STATS'] as const;
type Verb = (typeof verbs)[number];

/** `mayAnswer`: whether an answer may go to a reply subject. Answers on `$SRV.<verb>`, `$SRV.<verb>.ringraft` and `$SRV.<verb>.ringraft.<id>`. */
export function serveDiscovery(
  bus: Bus,
  identity: ServiceIdentity,
  endpoints: () => readonly EndpointStatistics[],
  mayAnswer: (replyTo: string) => boolean,
): readonly BusSubscription[] {
  const subscriptions: BusSubscription[] = [];
  for (const verb of verbs) {
    for (const suffix of ['', `.${serviceName}`, `.${serviceName}.${identity.id}`]) {
      const subscription = bus.subscribe('client', `$SRV.${verb}${suffix}`, ({ replyTo }) => {
        if (replyTo === undefined || !mayAnswer(replyTo)) return;
        bus.publish('client', replyTo, Buffer.from(JSON.stringify(discoveryAnswer(verb, identity, endpoints()))));
      });
      subscriptions.push(subscription);
    }
  }
  return subscriptions;
}

function discoveryAnswer(verb: Verb, identity: ServiceIdentity, endpoints: readonly EndpointStatistics[]): object {
  const { id, version, metadata, startedAtMs } = identity;
  const head = { type: `io.nats.micro.v1.${verb.toLowerCase()}_response`, name: serviceName, id, version, metadata };
  switch (verb) {
    case 'PING':
      return head;
    case 'INFO':
      return {
        ...head,
        description,
        endpoints: endpoints.map(({ name, subject }) => ({ name, subject, queue_group: queueGroup, metadata: {} })),
      };
    case 'STATS':
      return {
        ...head,
        started: new Date(startedAtMs).toISOString(),
        endpoints: endpoints.map(({ name, subject, requests, errors, lastError, processingTimeNs }) => ({
          name,
          subject,
          queue_group: queueGroup,
          num_requests: requests,
          num_errors: errors,
          last_error: lastError,
          processing_time: processingTimeNs,
          average_processing_time: requests === 0 ? 0 : Math.round(processingTimeNs / requests),
        })),
      };
  }
}
