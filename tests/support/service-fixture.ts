/** A service with a real client against fake nodes, and requests as any NATS client would make them. */
import { nodeId } from '../../src/base/index.js';
import { type Service, type ServiceOptions, startService } from '../../src/service/index.js';
import type { BusMessage } from '../../src/transport/index.js';
import { type Fixture, type FixtureOptions, startFixture } from './client-fixture.js';

export type ServiceFixture = Fixture & {
  readonly service: Service;
  /** Sends a request and gives its answer: body as text, headers. */
  readonly ask: (subject: string, body?: string | Buffer | object, headers?: Record<string, string>) => Promise<Asked>;
};
export type Asked = { readonly body: string; readonly headers: Record<string, string>; readonly message: BusMessage };

type ServiceFixtureOptions = FixtureOptions & Pick<ServiceOptions, 'limits'>;

export async function startServiceFixture(options: ServiceFixtureOptions = {}): Promise<ServiceFixture> {
  const { limits, ...fixtureOptions } = options;
  const fixture = await startFixture(fixtureOptions);
  const { bus, client, clock } = fixture;
  const identity = { prefix: 'kv', cluster: 'test', version: '1.2.3', nodeId: nodeId('n1') };
  const service = startService(bus, client, {
    ...identity,
    clock,
    ...(limits === undefined ? {} : { limits }),
  });
  const ask: ServiceFixture['ask'] = async (subject, body = '', headers) => {
    const payload =
      typeof body === 'string' ? Buffer.from(body) : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const message = await clock.until(bus.request(subject, payload, headers));
    return { body: message.payload.toString(), headers: { ...message.headers }, message };
  };
  return { ...fixture, service, ask };
}
