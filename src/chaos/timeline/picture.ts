/**
 * The picture of a violation: a row for each client, its operations as bars from call to return, the faults behind them, and
 * the sentence that says what is wrong. Made for paper: dark on light, nothing moves, and it needs no other file.
 */
import type { Fault } from '../availability.js';
import { inOrder, type Operation, type Violation } from '../operation.js';
import { inWords, keyName, seconds } from '../words.js';
import { type Axis, axisOf } from './axis.js';
import { type Extent, lanesOf } from './lanes.js';
import { element, textAt, wrapped } from './markup.js';

const letter = 7.3;
const fontSize = 12;
const font = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace";
const titleFont = "'DejaVu Sans', 'Helvetica Neue', Arial, sans-serif";
const barHeight = 22;
const laneHeight = 28;
const rowPadding = 8;
const margin = 24;
const titleLine = 22;
const faultLine = 18;
/** More than these nobody reads; the last ones show what went wrong. */
const mostDrawn = 40;

const ink = '#1f2937';
const soft = '#6b7280';
const alarm = '#dc2626';
const small = { fill: soft, 'font-size': 10 };
const cutNameWidth = 84;

type Paint = { readonly name: string; readonly fill: string; readonly stroke: string };
const paints = {
  read: { name: 'read', fill: '#dbeafe', stroke: '#2563eb' },
  write: { name: 'write', fill: '#dcfce7', stroke: '#15803d' },
  compare: { name: 'compare and swap', fill: '#ede9fe', stroke: '#7c3aed' },
  add: { name: 'increment, append', fill: '#fef3c7', stroke: '#b45309' },
  failed: { name: 'did not happen', fill: '#f3f4f6', stroke: '#9ca3af' },
} as const satisfies Record<string, Paint>;

const paintOf = ({ call, outcome }: Operation): Paint => {
  if (outcome.kind === 'failed') return paints.failed;
  if (call.op === 'get') return paints.read;
  if (call.op === 'incr' || call.op === 'append') return paints.add;
  const isConditional =
    call.op === 'put' && (call.ifAbsent === true || call.ifValue !== undefined || call.ifRevision !== undefined);
  return isConditional ? paints.compare : paints.write;
};

type Bar = {
  readonly operation: Operation;
  readonly left: number;
  readonly right: number;
  readonly label: string;
  /** Inside the bar where it fits, else behind it. */
  readonly labelLeft: number;
};
type Row = {
  readonly client: string;
  readonly bars: readonly Bar[];
  readonly lanes: readonly number[];
  readonly top: number;
  readonly height: number;
};

/** The SVG document; `faults` are those of the whole run. */
export function timelineOf(violation: Violation, faults: readonly Fault[]): string {
  const operations = inOrder(violation.operations).slice(-mostDrawn);
  const span = spanOf(operations);
  const near = faults.filter(({ fromMs, toMs }) => fromMs <= span.toMs && toMs >= span.fromMs);
  const edges = near.flatMap(({ fromMs, toMs }) => [fromMs, toMs].filter((ms) => ms > span.fromMs && ms < span.toMs));
  const axis = axisOf(
    operations.map(({ startMs, endMs }) => ({ fromMs: startMs, toMs: endMs })),
    edges,
  );
  const nameWidth = Math.max(40, ...operations.map(({ client }) => client.length * letter)) + 2 * 12;
  const plotLeft = margin + nameWidth;
  const bars = operations.map((operation) => barOf(operation, axis));
  const plotWidth = Math.max(720, axis.width + 40, ...bars.map(labelEnd)) + 12;
  const width = plotLeft + plotWidth + margin;
  const title = wrapped(violation.what, Math.floor((width - 2 * margin) / 10.4));
  const subtitleY = margin + title.length * titleLine + 4;
  const bands = bandsOf(near, span, axis, plotWidth);
  const faultTop = subtitleY + 28;
  const plotTop = faultTop + (bands.depth + 1) * faultLine;
  const rows = rowsOf(bars, plotTop, plotWidth);
  const plotBottom = Math.max(plotTop + laneHeight, ...rows.map(({ top, height }) => top + height));
  const height = plotBottom + 108;
  const place = { left: plotLeft, top: plotTop, bottom: plotBottom, width: plotWidth };
  const content = [
    element('rect', { x: 0, y: 0, width, height, fill: '#ffffff' }),
    ...title.map((line, at) =>
      textAt(margin, margin + 12 + at * titleLine, line, {
        'font-family': titleFont,
        'font-size': 16,
        'font-weight': 'bold',
      }),
    ),
    textAt(margin, subtitleY + 8, subtitle(violation, operations, span), { 'font-family': titleFont, fill: soft }),
    drawRows(rows, place),
    drawBands(bands.bands, place, faultTop),
    drawAxis(axis, place, span.fromMs),
    ...rows.flatMap((row) => drawBars(row, place, violation.culprit)),
    drawLegend(margin, plotBottom + 58, operations, violation, axis),
  ].join('\n');
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    width,
    height,
    viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`,
  };
  return element('svg', { ...attributes, 'font-family': font, 'font-size': fontSize, fill: ink }, content);
}

const spanOf = (operations: readonly Operation[]): { readonly fromMs: number; readonly toMs: number } => ({
  fromMs: Math.min(...operations.map(({ startMs }) => startMs)),
  toMs: Math.max(...operations.map(({ endMs }) => endMs)),
});

function subtitle(
  { workload, key, operations }: Violation,
  drawn: readonly Operation[],
  span: { fromMs: number; toMs: number },
): string {
  const cut = drawn.length < operations.length ? `, the last ${drawn.length} of ${operations.length} operations` : '';
  const when = drawn.length === 0 ? '' : `, from ${seconds(span.fromMs)} to ${seconds(span.toMs)} of the run`;
  return `workload ${workload}, key ${keyName(key)}${when}${cut}`;
}

function barOf(operation: Operation, axis: Axis): Bar {
  const left = axis.at(operation.startMs);
  const right = Math.max(left + 6, axis.at(operation.endMs));
  const label = inWords(operation);
  const isInside = operation.outcome.kind === 'unknown' || label.length * letter + 12 <= right - left;
  return { operation, left, right, label, labelLeft: isInside ? left + 6 : right + 6 };
}

const labelEnd = ({ labelLeft, label }: Bar): number => labelLeft + label.length * letter;

function rowsOf(bars: readonly Bar[], plotTop: number, plotWidth: number): Row[] {
  const clients = [...new Set(bars.map(({ operation }) => operation.client))].sort();
  let top = plotTop;
  return clients.map((client) => {
    const own = bars.filter(({ operation }) => operation.client === client);
    const extents: Extent[] = own.map((bar) => ({
      left: bar.left,
      right: bar.operation.outcome.kind === 'unknown' ? plotWidth : Math.max(bar.right, labelEnd(bar)),
    }));
    const lanes = lanesOf(extents, 8);
    const height = (Math.max(...lanes) + 1) * laneHeight + 2 * rowPadding;
    const row = { client, bars: own, lanes, top, height };
    top += height;
    return row;
  });
}

type Place = { readonly left: number; readonly top: number; readonly bottom: number; readonly width: number };

function drawRows(rows: readonly Row[], { left, width }: Place): string {
  return rows
    .map(({ client, top, height }, at) => {
      const ground = element('rect', {
        x: margin,
        y: top,
        width: left - margin + width,
        height,
        fill: at % 2 === 0 ? '#f9fafb' : '#ffffff',
      });
      return ground + textAt(margin + 12, top + height / 2 + 4, client, { 'font-weight': 'bold' });
    })
    .join('');
}

type Band = {
  readonly left: number;
  readonly right: number;
  readonly lane: number;
  readonly name: string;
  readonly isFromBefore: boolean;
  readonly lasts: boolean;
};

function bandsOf(
  faults: readonly Fault[],
  span: { fromMs: number; toMs: number },
  axis: Axis,
  plotWidth: number,
): { readonly bands: readonly Band[]; readonly depth: number } {
  const raw = faults.map((fault) => {
    const isFromBefore = fault.fromMs <= span.fromMs;
    const lasts = fault.toMs >= span.toMs;
    const left = isFromBefore ? 0 : axis.at(fault.fromMs);
    const name = `${isFromBefore ? '◂ ' : ''}${fault.description}${lasts ? ' ▸' : ''}`;
    return { left, right: lasts ? plotWidth : axis.at(fault.toMs), name, isFromBefore, lasts };
  });
  const lanes = lanesOf(
    raw.map(({ left, right, name }) => ({ left, right: Math.max(right, left + name.length * letter) })),
    12,
  );
  return {
    bands: raw.map((band, at) => ({ ...band, lane: lanes[at] as number })),
    depth: raw.length === 0 ? 0 : Math.max(...lanes) + 1,
  };
}

function drawBands(bands: readonly Band[], { left, bottom }: Place, top: number): string {
  return bands
    .map((band) => {
      const y = top + band.lane * faultLine;
      const x = left + band.left;
      const width = Math.max(2, band.right - band.left);
      const shade = element('rect', {
        x,
        y: y + 13,
        width,
        height: bottom - y - 13,
        fill: '#f59e0b',
        'fill-opacity': 0.13,
      });
      const roof = element('rect', { x, y: y + 11, width, height: 3, fill: '#d97706' });
      return shade + roof + textAt(x + 2, y + 7, band.name, { fill: '#92400e' });
    })
    .join('');
}

function drawAxis(axis: Axis, { left, top, bottom, width }: Place, fromMs: number): string {
  const line = element('line', { x1: left, y1: bottom, x2: left + width, y2: bottom, stroke: soft });
  const ticks = axis.ticks.map((stamp, at) => {
    const x = left + axis.at(stamp);
    const name = at === 0 ? seconds(stamp) : `+${(stamp - fromMs).toFixed(1)} ms`;
    const grid = element('line', {
      x1: x,
      y1: top,
      x2: x,
      y2: bottom + 5,
      stroke: '#d1d5db',
      'stroke-dasharray': '2 4',
    });
    return (
      grid + textAt(x, bottom + 20, name, { fill: soft, 'font-size': 11, 'text-anchor': at === 0 ? 'start' : 'middle' })
    );
  });
  let namedTo = Number.NEGATIVE_INFINITY;
  const cuts = axis.cuts.map(({ x, lengthMs }) => {
    const at = left + x;
    const slash = (shift: number): string =>
      element('line', {
        x1: at + shift - 3,
        y1: bottom + 6,
        x2: at + shift + 3,
        y2: bottom - 6,
        stroke: ink,
        'stroke-width': 1.5,
      });
    const gap = element('rect', { x: at - 3, y: bottom - 2, width: 6, height: 4, fill: '#ffffff' });
    const isNamed = at - cutNameWidth / 2 > namedTo;
    if (isNamed) namedTo = at + cutNameWidth / 2;
    const name = isNamed
      ? textAt(at, bottom + 36, `cut: ${seconds(lengthMs)}`, { ...small, 'text-anchor': 'middle' })
      : '';
    return gap + slash(-3) + slash(3) + name;
  });
  return line + ticks.join('') + cuts.join('');
}

function drawBars({ bars, lanes, top }: Row, place: Place, culprit: Operation | undefined): string[] {
  return bars.map(({ operation, left, right, label, labelLeft }, at) => {
    const y = top + rowPadding + (lanes[at] as number) * laneHeight + (laneHeight - barHeight) / 2;
    const x = place.left + left;
    const isCulprit = operation === culprit;
    const { fill, stroke } = paintOf(operation);
    const line = { stroke: isCulprit ? alarm : stroke, 'stroke-width': isCulprit ? 2.5 : 1.2 };
    const isOpen = operation.outcome.kind === 'unknown';
    const end = place.left + place.width;
    // Open to the right: it may take effect at any later time.
    const shape = isOpen
      ? element('path', {
          d: `M ${end} ${y} H ${x} V ${y + barHeight} H ${end}`,
          fill,
          'fill-opacity': 0.55,
          ...line,
          'stroke-dasharray': '6 4',
        })
      : element('rect', { x, y, width: right - left, height: barHeight, rx: 4, fill, ...line });
    const gaveUp = isOpen
      ? element('line', {
          x1: place.left + right,
          y1: y,
          x2: place.left + right,
          y2: y + barHeight,
          stroke,
          'stroke-dasharray': '2 2',
        })
      : '';
    return shape + gaveUp + textAt(place.left + labelLeft, y + 15, label, isCulprit ? { 'font-weight': 'bold' } : {});
  });
}

function drawLegend(
  x: number,
  y: number,
  operations: readonly Operation[],
  { culprit }: Violation,
  { cuts }: Axis,
): string {
  const used = [...new Set(operations.map(paintOf))];
  let left = x;
  const parts: string[] = [];
  const add = (mark: string, text: string): void => {
    parts.push(mark + textAt(left + 24, y + 10, text, { fill: soft, 'font-size': 11 }));
    left += 24 + text.length * 6.9 + 18;
  };
  const swatch = (attributes: Readonly<Record<string, string | number>>): string =>
    element('rect', { x: left, y, width: 18, height: 12, rx: 3, ...attributes });
  for (const { name, fill, stroke } of used) add(swatch({ fill, stroke }), name);
  if (operations.some(({ outcome }) => outcome.kind === 'unknown')) {
    add(swatch({ fill: 'none', stroke: soft, 'stroke-dasharray': '4 3' }), 'outcome unknown: any time later, or never');
  }
  if (culprit !== undefined)
    add(swatch({ fill: 'none', stroke: alarm, 'stroke-width': 2.5 }), 'what should not have been answered so');
  const note = cuts.length > 0 ? 'Widths are not to scale; // marks time cut short.' : 'Widths are not to scale.';
  return parts.join('') + textAt(x, y + 30, note, { fill: soft, 'font-size': 11 });
}
