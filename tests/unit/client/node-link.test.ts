/** Goal: a 503 is only taken for a refusal of everything outstanding when it must be one. */
import test from 'ava';
import { nodeId } from '../../../src/base/index.js';
import { NodeLink } from '../../../src/client/node-link.js';

const newLink = (): NodeLink => new NodeLink(nodeId('n1'), '_kv.test.node.n1', 4, (token) => `inbox.${token}`);
const tokenOf = (link: NodeLink): string => link.replyTo.slice('inbox.'.length);

/** A batch of one operation. */
function send(link: NodeLink): string {
  link.beginBatch();
  link.outstanding++;
  return tokenOf(link);
}

test('as many 503s as batches refuse everything', (t) => {
  const link = newLink();
  const token = send(link);
  send(link);
  t.false(link.onNoResponders(token));
  t.true(link.onNoResponders(token));
});

test('answers end an epoch: the reply subject stays, the count begins anew', (t) => {
  const link = newLink();
  const token = send(link);
  link.outstanding--;
  t.is(send(link), token);
  t.true(link.onNoResponders(token));
});

test('a 503 that comes after its operations were given up is not one of the next batch', (t) => {
  const link = newLink();
  const token = send(link);
  link.abandon(1);
  const next = send(link);
  t.not(next, token);
  t.is(link.onNoResponders(token), undefined);
  t.true(link.onNoResponders(next));
});

test('a 503 too many, after a refused batch, is not one of the next batch', (t) => {
  const link = newLink();
  const token = send(link);
  t.true(link.onNoResponders(token));
  link.outstanding--;
  const next = send(link);
  t.is(link.onNoResponders(token), undefined);
  t.true(link.onNoResponders(next));
});
