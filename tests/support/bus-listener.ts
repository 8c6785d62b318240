/**
 * A process that listens on a bus and prints what it hears, one line of JSON a message: whether its bytes are whole,
 * and its number. For tests that stop it, to see what a slow consumer gets.
 */
import { connectNats, type Lane } from '../../src/transport/index.js';
import { isWhole } from './numbered-payload.js';

const [url = '', lane = 'raft', subject = ''] = process.argv.slice(2);
const bus = await connectNats({ servers: [url], name: 'listener' }, [lane as Lane]);
const print = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
bus.onConnectionChange((_, connected) => print({ connected }));
bus.subscribe(lane as Lane, subject, ({ payload }) => print({ at: payload.readUInt32BE(0), whole: isWhole(payload) }));
await bus.flush(lane as Lane);
print({ ready: true });
