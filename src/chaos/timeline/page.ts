/** A page around the picture, with every operation as it was recorded. It needs nothing else, from anywhere. */
import type { Operation, Violation } from '../operation.js';
import { callInWords, count, outcomeInWords, seconds } from '../words.js';
import { element, escaped } from './markup.js';

const style = `
body { margin: 0; background: #f3f4f6; color: #1f2937; font: 15px/1.5 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 24px; }
h1 { font-size: 20px; margin: 0 0 4px; }
p { color: #6b7280; margin: 0 0 16px; }
figure { margin: 0 0 24px; background: #fff; border: 1px solid #e5e7eb; border-radius: 8px; overflow-x: auto; }
figure svg { display: block; }
table { border-collapse: collapse; background: #fff; border: 1px solid #e5e7eb; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: 6px 10px; border-top: 1px solid #e5e7eb; vertical-align: top; }
td.value { font-family: Menlo, Consolas, monospace; word-break: break-all; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.culprit td { background: #fef2f2; }
pre { background: #fff; border: 1px solid #e5e7eb; padding: 12px; overflow-x: auto; font-size: 12px; }
`;

export function pageOf(violation: Violation, svg: string): string {
  const { workload, key, what, operations, culprit } = violation;
  const rows = operations.map((operation) => rowOf(operation, operation === culprit)).join('\n');
  const raw = operations.map((operation) => JSON.stringify(operation)).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(`${workload}: ${what}`)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escaped(what)}</h1>
<p>${escaped(`Workload ${workload}, key ${key}, ${count(operations.length, 'operation')}.`)}</p>
<figure>${svg}</figure>
<table>
<thead><tr><th>client</th><th>called</th><th>returned</th><th>call</th><th>outcome</th><th>revision</th></tr></thead>
<tbody>
${rows}
</tbody>
</table>
<p>As recorded:</p>
<pre>${raw.split('\n').map(escaped).join('\n')}</pre>
</main>
</body>
</html>
`;
}

function rowOf({ client, call, outcome, startMs, endMs }: Operation, isCulprit: boolean): string {
  const cell = (text: string, name: string): string => element('td', { class: name }, escaped(text) || ' ');
  const value = 'value' in call ? call.value : '';
  const seen = outcome.kind === 'ok' && call.op === 'get' ? (outcome.value ?? 'absent') : '';
  const cells = [
    cell(client, 'name'),
    cell(seconds(startMs), 'number'),
    cell(outcome.kind === 'unknown' ? `gave up ${seconds(endMs)}` : seconds(endMs), 'number'),
    cell(`${callInWords(call)}${value.length > 28 ? ` = ${value}` : ''}`, 'value'),
    cell(`${outcomeInWords(call, outcome)}${seen.length > 28 ? ` = ${seen}` : ''}`, 'value'),
    cell('revision' in outcome ? String(outcome.revision) : '', 'number'),
  ].join('');
  return element('tr', isCulprit ? { class: 'culprit' } : {}, cells);
}
