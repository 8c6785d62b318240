/**
 * Goal: what is said to etcd is what its protocol says. Method: bytes written down by hand from rpc.proto and kv.proto, and
 * an answer of etcd 3.4.23 as it came over the wire.
 */
import test from 'ava';
import { etcdMessages } from '../../../src/compare/index.js';

const { encodePut, encodePuts, encodeRange, encodeRanges } = etcdMessages;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Buffer => Buffer.from(text.replace(/ /g, ''), 'hex');

test('requests have the bytes of the protocol', (t) => {
  t.is(hex(encodePut('abc', Buffer.from('xy'))), hex(bytes('0a 03 616263 12 02 7879')));
  t.is(hex(encodeRange({ key: 'abc' })), hex(bytes('0a 03 616263')));
  t.is(hex(encodeRange({ key: 'abc', serializable: true })), hex(bytes('0a 03 616263 38 01')));
  t.is(hex(encodeRange({ key: 'a', end: 'b', limit: 300 })), hex(bytes('0a 01 61 12 01 62 18 ac02')));
  t.is(
    hex(encodePuts(['a', 'b'], Buffer.from('x'))),
    hex(bytes('12 08 12 06 0a 01 61 12 01 78 12 08 12 06 0a 01 62 12 01 78')),
  );
  t.is(hex(encodeRanges(['a'])), hex(bytes('12 05 0a 03 0a 01 61')));
});

const header = '0a 1a 08b298eaf1948386fccd01 10cdd2918bd2b881cf8e01 18 01 20 02';

test('answers are read, whatever else they hold', (t) => {
  // No key was found: the header alone.
  t.deepEqual(etcdMessages.decodeRange(bytes(header)), []);
  // A key value: key (1), create revision (2), mod revision (3), version (4), value (5); then more (3) and count (4).
  const item = '12 0d 0a 01 61 10 02 18 03 20 01 2a 02 7879';
  const empty = '12 09 0a 01 62 10 02 18 03 20 01';
  const values = etcdMessages.decodeRange(bytes(`${header} ${item} ${empty} 18 01 20 05`));
  t.deepEqual(values.map(hex), ['7879', '']);
  // Two responses (3), each with a range (1); the second one found nothing.
  const found = '1a 11 0a 0f 12 0d 0a 01 61 10 02 18 03 20 01 2a 02 7879';
  t.is(etcdMessages.decodeFoundRanges(bytes(`${header} 10 01 ${found} 1a 02 0a 00`)), 1);
});

test('the member that leads is the one whose own id is the leader', (t) => {
  const version = '12 06 332e342e3233';
  t.true(etcdMessages.decodeIsLeader(bytes(`${header} ${version} 18 05 20cdd2918bd2b881cf8e01`)));
  t.false(etcdMessages.decodeIsLeader(bytes(`${header} ${version} 18 05 20b298eaf1948386fccd01`)));
  t.false(etcdMessages.decodeIsLeader(bytes(`${header} ${version} 18 05`)));
});
