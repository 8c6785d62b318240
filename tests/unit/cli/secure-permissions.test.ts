/**
 * Goal: the permissions of each user let through what it needs and nothing of another's.
 * Method: a list of subjects is asked of each user as NATS would; that NATS does the same shows tests/system/security.
 */
import test from 'ava';
import fc from 'fast-check';
import { nodeId } from '../../../src/base/index.js';
import { type Application, grantText, parseApplications, parseGrant } from '../../../src/cli/secure/grants.js';
import { serverConfigText } from '../../../src/cli/secure/nats-config.js';
import {
  adminPermissions,
  applicationPermissions,
  applicationUser,
  inboxPrefixOf,
  keyOperations,
  nodePermissions,
} from '../../../src/cli/secure/permissions.js';
import { endpoints } from '../../../src/service/endpoints.js';
import * as subjects from '../../../src/wire/subjects.js';
import { matches } from '../../support/subjects.js';

const roots = { cluster: 'main', subjectPrefix: 'kv' };
const node = nodeId('n1');
const [shop, web] = parseApplications(['shop:orders', 'carts', 'web:carts.web.>']) as [Application, Application];
const users = {
  node: nodePermissions(roots),
  admin: adminPermissions(roots),
  shop: applicationPermissions(shop, roots),
  web: applicationPermissions(web, roots),
};
const everybody = Object.keys(users) as (keyof typeof users)[];

const may = (patterns: readonly string[], subject: string): boolean =>
  patterns.some((pattern) => matches(pattern.split('.'), subject.split('.')));

const whoMay = (what: 'publish' | 'subscribe', subject: string): string =>
  everybody.filter((user) => may(users[user][what], subject)).join(' ');

test('who may publish where', (t) => {
  const expected: Readonly<Record<string, string>> = {
    [subjects.nodeSubject('main', node)]: 'node admin',
    [subjects.scanSubject('main', node)]: 'node admin',
    [subjects.mapSubject('main')]: 'node admin',
    [subjects.adminSubject('main', node)]: 'node admin',
    [subjects.managerSubject('main')]: 'node admin',
    [subjects.raftSubject('main', node)]: 'node',
    [subjects.snapshotSubject('main', node, '7')]: 'node',
    [subjects.gossipSubject('main', node)]: 'node',
    [subjects.gossipAllSubject('main')]: 'node',
    [subjects.mapChangeSubject('main')]: 'node',
    [subjects.nodeSubject('other', node)]: '',
    'kv.get.orders': 'admin shop',
    'kv.batch.orders': 'admin shop',
    'kv.get.orders.a.b': 'admin shop',
    'kv.get.carts': 'admin shop',
    'kv.scan.carts': 'admin shop',
    'kv.get.carts.web': 'admin shop',
    'kv.get.carts.web.x': 'admin shop web',
    'kv.put.carts.web.x.y': 'admin shop web',
    'kv.scan.carts.web.x': 'admin shop web',
    'kv.drop.carts.web.x': 'admin shop',
    'kv.get.carts.webx.y': 'admin shop',
    'kv.get.default': 'admin',
    'kv.get.default.orders': 'admin',
    'kv.get': 'admin',
    '$SRV.PING': 'admin shop web',
    '$SRV.INFO.ringraft.main-n1': 'admin shop web',
    '$SRV.STATS': 'admin',
    '_INBOX.node.x': 'node',
    '_INBOX.app.shop.x': 'node',
    'orders.new': '',
    '$SYS.REQ.SERVER.PING': '',
    '$JS.API.INFO': '',
  };
  for (const [subject, allowed] of Object.entries(expected)) t.is(whoMay('publish', subject), allowed, subject);
});

test('who may listen where', (t) => {
  const expected: Readonly<Record<string, string>> = {
    '_INBOX.node.x': 'node',
    '_INBOX.admin.x': 'admin',
    '_INBOX.app.shop.x': 'shop',
    '_INBOX.app.web.x.y': 'web',
    '_INBOX.x': '',
    'kv.get.orders.x': 'node',
    '$SRV.PING': 'node',
    [subjects.raftSubject('main', node)]: 'node',
    [subjects.mapChangeSubject('main')]: 'node',
    orders: '',
  };
  for (const [subject, allowed] of Object.entries(expected)) t.is(whoMay('subscribe', subject), allowed, subject);
});

test('the inbox of every user is its own, whatever the applications are called', (t) => {
  const names = ['node', 'admin', 'app', 'a', 'a-b'];
  const prefixes = ['node' as const, 'admin' as const, ...names.map(applicationUser)].map(inboxPrefixOf);
  for (const [at, prefix] of prefixes.entries()) {
    for (const other of prefixes.toSpliced(at, 1)) t.false(may([`${other}.>`], `${prefix}.x`), `${other} ${prefix}`);
  }
});

test('key operations are those of the service that can have the key in the subject', (t) => {
  const names = endpoints.map(({ name }) => name).filter((name) => name !== 'batch');
  t.deepEqual([...keyOperations].sort(), names.sort());
});

test('no application reaches a bucket or a key it was not given', (t) => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,5}$/);
  const key = fc.stringMatching(/^[A-Za-z0-9/=_-]{1,5}$/);
  const grant = fc.tuple(name, fc.array(key, { maxLength: 2 })).map(([bucket, tokens]) => [bucket, ...tokens]);
  const asked = fc.tuple(name, name, fc.array(key, { maxLength: 4 }));
  fc.assert(
    fc.property(
      fc.array(grant, { minLength: 1, maxLength: 3 }),
      asked,
      fc.boolean(),
      (grants, [op, bucket, tokens], near) => {
        const texts = grants.map((parts) => (parts.length === 1 ? `${parts[0]}` : `${parts.join('.')}.>`));
        const application = { name: 'x', grants: texts.map(parseGrant) };
        t.deepEqual(application.grants.map(grantText), texts);
        const { publish } = applicationPermissions(application, roots);
        const place = near
          ? [grants[0]?.[0] as string, ...(grants[0]?.slice(1) ?? []), ...tokens]
          : [bucket, ...tokens];
        const isGiven = grants.some(([first, ...rest]) => {
          const begins = place[0] === first && rest.every((token, at) => place[at + 1] === token);
          return begins && (rest.length === 0 || place.length > rest.length + 1);
        });
        if (!isGiven) t.false(may(publish, ['kv', op, ...place].join('.')));
        if (isGiven) t.true(may(publish, ['kv', 'get', ...place].join('.')));
      },
    ),
  );
});

test('applications are read from the command line, and what is none is refused', (t) => {
  t.deepEqual(parseApplications(['a:x', 'y.k.>', 'b:z']), [
    {
      name: 'a',
      grants: [
        { bucket: 'x', keyTokens: undefined },
        { bucket: 'y', keyTokens: ['k'] },
      ],
    },
    { name: 'b', grants: [{ bucket: 'z', keyTokens: undefined }] },
  ]);
  const wrong = ['x', ':x', 'a:', 'A:x', 'a:*', 'a:>', 'a:x.>', 'a:x.*.>', 'a:x.k', 'a:x.k.', 'a:x..>', 'a:x.>.>'];
  for (const text of [...wrong, 'a:x.k l.>', 'a:x."k".>', 'a:x.\\k.>', 'a b:x']) {
    t.throws(() => parseApplications([text]), { code: 'BAD_REQUEST' }, text);
  }
  t.throws(() => parseApplications(['a:x', 'a:y']), { message: /named twice/ });
});

test('the configuration of nats-server names each user with its key, and quotes paths', (t) => {
  const text = serverConfigText({
    listen: '127.0.0.1:4222',
    certFile: '/a "b"/server.pem',
    keyFile: '/a/server-key.pem',
    caFile: '/a/ca.pem',
    users: [
      { name: 'node', publicKey: 'UNODE', permissions: { publish: ['a.>'], subscribe: ['b'] } },
      { name: 'app-x', publicKey: 'UAPP', permissions: { publish: ['c'], subscribe: ['d'] } },
    ],
  });
  t.regex(text, /cert_file: "\/a \\"b\\"\/server\.pem"/);
  const found = [
    ...text.matchAll(/nkey: (\w+)\s+permissions: \{\s+publish: \[\s+"(.+)"\s+\]\s+subscribe: \[\s+"(.+)"\s+\]/g),
  ];
  t.deepEqual(
    found.map(([, ...parts]) => parts),
    [
      ['UNODE', 'a.>', 'b'],
      ['UAPP', 'c', 'd'],
    ],
  );
});
