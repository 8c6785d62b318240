/**
 * Goal: a picture shows every operation once, in its client's row, without one label upon another, and is whole whatever
 * stands in the values. Method: the marks and texts of pictures of random histories, looked at by their places.
 */
import test from 'ava';
import fc from 'fast-check';
import { type Fault, type Operation, pageOf, timelineOf, type Violation } from '../../../src/chaos/index.js';
import { axisOf } from '../../../src/chaos/timeline/axis.js';
import { escaped, wrapped } from '../../../src/chaos/timeline/markup.js';
import { done, failed, operationsOf, seen, unknown } from '../../support/chaos-operations.js';

const { make, put, read } = operationsOf('register', 'register/1{tag}');
const of = (operations: readonly Operation[], what = 'It is wrong.'): Violation => ({
  workload: 'register',
  key: 'register/1{tag}',
  what,
  operations,
  ...(operations[0] === undefined ? {} : { culprit: operations[0] }),
});
const fault = (fromMs: number, toMs: number, description: string): Fault => ({
  kind: 'x',
  description,
  sides: {},
  fromMs,
  toMs,
});

/** Tags are closed in the order they were opened, and nothing stands raw that must not. */
function isWellFormed(markup: string): boolean {
  const open: string[] = [];
  const tags = /<(\/?)([a-z0-9]+)((?:\s[a-z0-9-]+="[^"<]*")*)(\/?)>/gi;
  const rest = markup.replace(tags, (_, closes: string, name: string, __, empty: string) => {
    if (closes === '/') return open.pop() === name ? '' : '<';
    if (empty === '') open.push(name);
    return '';
  });
  return open.length === 0 && !/[<>]/.test(rest) && !/&(?!(amp|lt|gt|quot|#39);)/.test(rest);
}

type Text = { readonly x: number; readonly y: number; readonly text: string };
const textsOf = (svg: string): Text[] =>
  [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</g)].map(([, x, y, text]) => ({
    x: Number(x),
    y: Number(y),
    text: text as string,
  }));

const anyOperation = fc
  .tuple(
    fc.constantFrom('n1', 'n2', 'n3-b'),
    fc.integer({ min: 0, max: 5000 }),
    fc.integer({ min: 0, max: 300 }),
    fc.constantFrom('get', 'put', 'append', 'delete'),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(0, 1, 2),
  )
  .map(([client, startMs, lasts, op, value, kind]) => {
    const call = op === 'get' ? ({ op, level: 'lease' } as const) : op === 'delete' ? ({ op } as const) : { op, value };
    const good = op === 'get' ? seen(value) : done();
    return make(
      client,
      startMs,
      startMs + lasts,
      call as Operation['call'],
      [good, failed, unknown][kind] as Operation['outcome'],
    );
  });
const anyHistory = fc.uniqueArray(anyOperation, {
  minLength: 1,
  maxLength: 30,
  selector: (one) => JSON.stringify(one),
});

test('whatever stands in a history, picture and page are well-formed', (t) => {
  const isWhole = (operations: Operation[], what: string) => {
    const violation = of(operations, what);
    const svg = timelineOf(violation, [fault(100, 900, what), fault(-5, Number.POSITIVE_INFINITY, '<&>')]);
    t.true(isWellFormed(svg), svg);
    const [, body] = pageOf(violation, svg).split('<body>');
    t.true(isWellFormed(`${body}`.replace('</body>\n</html>\n', '')));
  };
  t.notThrows(() =>
    fc.assert(fc.property(anyHistory, fc.string({ unit: 'binary', maxLength: 200 }), isWhole), { numRuns: 100 }),
  );
});

test('every operation has a bar and a label, and no two labels overlap', (t) => {
  const isClear = (operations: Operation[]) => {
    const svg = timelineOf(of(operations), []);
    const labels = textsOf(svg).filter(({ text }) => /^(read|put|append|delete)/.test(text) && text.includes(': '));
    t.is(labels.length, operations.length);
    for (const [at, one] of labels.entries()) {
      for (const other of labels.slice(at + 1)) {
        if (Math.abs(one.y - other.y) >= 14) continue;
        const [left, right] = one.x < other.x ? [one, other] : [other, one];
        const width = left.text.replace(/&(amp|lt|gt|quot|#39);/g, '.').length * 7;
        t.true(left.x + width <= right.x, `${left.text} | ${right.text}`);
      }
    }
  };
  t.notThrows(() => fc.assert(fc.property(anyHistory, isClear), { numRuns: 100 }));
});

test('later is further right, and apart enough to be seen, whatever the times', (t) => {
  const span = fc
    .tuple(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 0, max: 1000 }))
    .map(([fromMs, lasts]) => ({ fromMs, toMs: fromMs + lasts }));
  const isMonotone = (busy: { fromMs: number; toMs: number }[]) => {
    const axis = axisOf(busy, []);
    const stamps = [...new Set(busy.flatMap(({ fromMs, toMs }) => [fromMs, toMs]))].sort((a, b) => a - b);
    const places = stamps.map((stamp) => axis.at(stamp));
    t.true(places.every((place, at) => at === 0 || place >= (places[at - 1] as number) + 10));
    t.is(places.at(-1), axis.width);
  };
  t.notThrows(() => fc.assert(fc.property(fc.array(span, { minLength: 1, maxLength: 30 }), isMonotone)));
});

test('an idle minute is cut short and named, a fault is a band with its name, an open end is dashed', (t) => {
  const operations = [put('a', 0, 5, '1'), put('b', 2, 8, '2', unknown), read('c', 60_000, 60_004, '1')];
  const svg = timelineOf(of(operations, 'The read is stale.'), [
    fault(3, 4, 'n1 | n2, n3'),
    fault(70_000, 80_000, 'later'),
  ]);
  t.regex(svg, /cut: 59\.99[26] s/);
  t.regex(svg, />n1 \| n2, n3</);
  t.notRegex(svg, />later</);
  t.regex(svg, /<path [^>]*stroke-dasharray="6 4"/);
  t.regex(svg, />The read is stale\.</);
  t.true(Number(/width="([\d.]+)"/.exec(svg)?.[1]) < 1600);
});

test('a violation without operations has a picture, too', (t) => {
  t.true(isWellFormed(timelineOf(of([]), [])));
});

test('long histories are cut to their last operations, and say so', (t) => {
  const many = Array.from({ length: 200 }, (_, at) => put('a', 2 * at, 2 * at + 1, String(at)));
  const svg = timelineOf(of(many), []);
  t.regex(svg, /the last 40 of 200 operations/);
  t.regex(svg, />put 199: ok</);
  t.notRegex(svg, />put 100: ok</);
});

test('text is escaped, and broken between words', (t) => {
  t.is(escaped(`<a href="x">&'\u0000`), '&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u2400');
  t.deepEqual(wrapped('one two three', 7), ['one two', 'three']);
});
