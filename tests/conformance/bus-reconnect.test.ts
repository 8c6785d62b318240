/**
 * Goal: whatever connections the NATS client has tried and given up before, what arrives on the one that stands arrives as it
 * was sent. Method: a server of a few lines that leaves one attempt to connect without a greeting, greets and ends it later, in the
 * middle of a message on the connection after it. The client (nats 2.29) took that for the end of the connection that stood, began
 * another, and read two streams of bytes as one: found by a chaos run, as a snapshot that did not match its checksum.
 */
import { createServer, type Socket } from 'node:net';
import test from 'ava';
import { connectNats } from '../../src/transport/index.js';

const size = 1000;
const info = JSON.stringify({ server_id: 'T', version: '2.9.10', proto: 1, headers: true, max_payload: 1_048_576 });

class Peer {
  sid = '';
  private text = '';

  constructor(
    readonly socket: Socket,
    greets: boolean,
  ) {
    socket.on('error', () => {});
    if (greets) this.greet();
    socket.on('data', (bytes: Buffer) => this.take(bytes.toString('latin1')));
  }

  greet(): void {
    this.socket.write(`INFO ${info}\r\n`);
  }

  private take(text: string): void {
    this.text += text;
    const lines = this.text.split('\r\n');
    this.text = lines.pop() ?? '';
    for (const line of lines) {
      if (line === 'PING') this.socket.write('PONG\r\n');
      const [verb, subject, sid = ''] = line.split(' ');
      if (verb === 'SUB' && subject === 'numbers') this.sid = sid;
    }
  }
}

test('an attempt to connect that was given up, and ends later, changes nothing on the connection that stands', async (t) => {
  const peers: Peer[] = [];
  const waiting: (() => void)[] = [];
  // The second connection hears nothing, as over a link that is cut.
  const server = createServer((socket) => {
    peers.push(new Peer(socket, peers.length !== 1));
    for (const wake of waiting.splice(0)) wake();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const peerAt = async (at: number): Promise<Peer> => {
    while (peers.length <= at) await new Promise<void>((resolve) => waiting.push(resolve));
    return peers[at] as Peer;
  };
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  const bus = await connectNats({ servers: [`nats://127.0.0.1:${port}`], name: 'reader', connectTimeoutMs: 300 }, [
    'raft',
  ]);
  const heard: string[] = [];
  const changes: boolean[] = [];
  bus.onConnectionChange((_, connected) => changes.push(connected));
  bus.subscribe('raft', 'numbers', ({ payload }) => heard.push(payload.toString('latin1')));
  t.teardown(async () => {
    await bus.close();
    for (const { socket } of peers) socket.destroy();
    server.close();
  });

  (await peerAt(0)).socket.destroy();
  const silent = await peerAt(1);
  const standing = await peerAt(2);
  await until(() => standing.sid !== '' && changes.at(-1) === true);
  standing.socket.write(`MSG numbers ${standing.sid} ${size}\r\n${'a'.repeat(size / 2)}`);
  silent.greet();
  await new Promise((resolve) => setTimeout(resolve, 50));
  silent.socket.destroy();
  // Time enough for the client to make something of it.
  await new Promise((resolve) => setTimeout(resolve, 700));
  standing.socket.write(`${'b'.repeat(size / 2)}\r\nMSG numbers ${standing.sid} 3\r\nend\r\n`);
  await until(() => heard.includes('end') || peers.length > 3);
  t.deepEqual(heard, ['a'.repeat(size / 2) + 'b'.repeat(size / 2), 'end']);
  t.deepEqual(changes, [false, true]);
  t.is(peers.length, 3);
});
