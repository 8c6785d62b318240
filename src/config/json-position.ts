/** Where a text stops being JSON. JSON.parse knows, but tells the position only in some of its messages. */

const token =
  /[ \t\r\n]*(?:([{}[\],:])|("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
const space = /[ \t\r\n]*/y;

type Expected = 'value' | 'valueOrEnd' | 'name' | 'nameOrEnd' | 'colon' | 'commaOrEnd';

const closing = { '{': '}', '[': ']' } as const;

/** The position of the first token that cannot stand where it does; the text's length where something is missing. */
export function jsonErrorPosition(text: string): number {
  const open: (keyof typeof closing)[] = [];
  let expected: Expected = 'value';
  for (let at = 0; ; at = token.lastIndex) {
    space.lastIndex = at;
    space.test(text);
    const start = space.lastIndex;
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) return start;
    const [, mark, string] = match;
    const innermost = open.at(-1);
    const mayEnd = expected === 'commaOrEnd' || expected === 'valueOrEnd' || expected === 'nameOrEnd';
    const isEnd = innermost !== undefined && mark === closing[innermost];
    if (isEnd && mayEnd) {
      open.pop();
      expected = 'commaOrEnd';
    } else if (expected === 'commaOrEnd') {
      if (innermost === undefined || mark !== ',') return start;
      expected = innermost === '{' ? 'name' : 'value';
    } else if (expected === 'colon') {
      if (mark !== ':') return start;
      expected = 'value';
    } else if (expected === 'name' || expected === 'nameOrEnd') {
      if (string === undefined) return start;
      expected = 'colon';
    } else if (mark === '{' || mark === '[') {
      open.push(mark);
      expected = mark === '{' ? 'nameOrEnd' : 'valueOrEnd';
    } else if (mark === undefined) {
      expected = 'commaOrEnd';
    } else {
      return start;
    }
  }
}
