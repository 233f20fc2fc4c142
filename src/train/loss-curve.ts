/** The loss of a training as a picture, drawn from its log. */
import type { TrainEvent } from './event.ts';

const WIDTH = 720;
const HEIGHT = 400;
const MARGIN = { left: 58, right: 20, top: 56, bottom: 44 };
/** Points of one line at most: more than this cannot be told apart at this width. */
const POINTS = 600;
/** The smooth line is a mean over about this share of all steps. */
const SMOOTH = 1 / 50;

/** Readable on light and on dark grounds; apart for the common kinds of colour blindness (Okabe and Ito 2008). */
const COLOURS = { loss: '#56b4e9', smooth: '#0072b2', validation: '#d55e00', average: '#009e73' };
const GREY = '#808080';

interface Point {
  readonly x: number;
  readonly y: number;
}

export interface LossCurveOptions {
  /** Default "Loss". */
  readonly title?: string;
  /** Default "nats": what losses are given in. "bits" divides them by log 2. */
  readonly unit?: 'nats' | 'bits';
}

/**
 * An SVG document without a ground of its own: the loss of each step, its moving mean, and the evaluations. Where a training was
 * resumed, later lines of a step replace earlier ones.
 */
export function drawLossCurve(events: readonly TrainEvent[], options: LossCurveOptions = {}): string {
  const { title = 'Loss', unit = 'nats' } = options;
  const factor = unit === 'bits' ? 1 / Math.LN2 : 1;
  const pointsOf = (chosen: (event: TrainEvent) => number | undefined): Point[] => {
    const points = new Map<number, number>();
    for (const event of events) {
      const y = chosen(event);
      if (y !== undefined && Number.isFinite(y)) points.set(event.step, y * factor);
    }
    return [...points].sort(([a], [b]) => a - b).map(([x, y]) => ({ x, y }));
  };
  const losses = pointsOf((event) => (event.kind === 'step' ? event.loss : undefined));
  const lines = [
    { name: 'each step', colour: COLOURS.loss, points: losses, opacity: 0.45, dots: false },
    { name: 'moving mean', colour: COLOURS.smooth, points: smooth(losses), opacity: 1, dots: false },
    {
      name: 'validation',
      colour: COLOURS.validation,
      points: pointsOf((event) => (event.kind === 'evaluation' ? event.loss : undefined)),
      opacity: 1,
      dots: true,
    },
    {
      name: 'validation, averaged weights',
      colour: COLOURS.average,
      points: pointsOf((event) => (event.kind === 'evaluation' ? event.averageLoss : undefined)),
      opacity: 1,
      dots: true,
    },
  ]
    .map((line) => ({ ...line, points: thin(line.points) }))
    .filter(({ points }) => points.length > 0);

  const all = lines.flatMap(({ points }) => points);
  const yTicks = ticks(Math.min(...all.map(({ y }) => y), Infinity), Math.max(...all.map(({ y }) => y), -Infinity));
  const [x0, x1] = [0, Math.max(1, ...all.map(({ x }) => x))];
  const xTicks = ticks(x0, x1).filter((x) => x <= x1);
  const [y0, y1] = [yTicks[0] ?? 0, yTicks.at(-1) ?? 1];
  const [right, bottom] = [WIDTH - MARGIN.right, HEIGHT - MARGIN.bottom];
  const px = (x: number): number => round(MARGIN.left + ((x - x0) / (x1 - x0)) * (right - MARGIN.left));
  const py = (y: number): number => round(bottom - ((y - y0) / (y1 - y0 || 1)) * (bottom - MARGIN.top));
  let legend = MARGIN.left;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="${GREY}">`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="${MARGIN.left}" y="20" font-size="13" font-weight="600">${escapeXml(title)}</text>`,
    ...yTicks.map(
      (y) =>
        `<path stroke="${GREY}" stroke-opacity="0.3" d="M${MARGIN.left} ${py(y)}H${right}"/>` +
        `<text x="${MARGIN.left - 6}" y="${py(y) + 4}" text-anchor="end">${y}</text>`,
    ),
    ...xTicks.map(
      (x) => `<text x="${px(x)}" y="${bottom + 16}" text-anchor="middle">${x.toLocaleString('en-US')}</text>`,
    ),
    `<text x="${(MARGIN.left + right) / 2}" y="${bottom + 34}" text-anchor="middle">steps</text>`,
    `<text transform="translate(14 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">loss in ${unit}</text>`,
    ...lines.map(({ name, colour, points, opacity, dots }) => {
      const path = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${px(x)} ${py(y)}`).join('');
      const marks = dots
        ? points.map(({ x, y }) => `<circle cx="${px(x)}" cy="${py(y)}" r="2" fill="${colour}"/>`).join('')
        : '';
      const at = legend;
      legend += 30 + 6.2 * name.length;
      return (
        `<path fill="none" stroke="${colour}" stroke-width="1.5" stroke-opacity="${opacity}" d="${path}"/>${marks}` +
        `<path stroke="${colour}" stroke-width="3" stroke-opacity="${opacity}" d="M${round(at)} 36h14"/>` +
        `<text x="${round(at + 18)}" y="40">${escapeXml(name)}</text>`
      );
    }),
    '</svg>',
    '',
  ].join('\n');
}

/** The mean of the last steps: of as many as there are at the start. Undrawn for a handful of steps, which need none. */
function smooth(points: readonly Point[]): Point[] {
  const window = Math.max(2, Math.round(points.length * SMOOTH));
  if (points.length < 20) return [];
  let sum = 0;
  return points.map(({ x, y }, i) => {
    sum += y;
    if (i >= window) sum -= points[i - window].y;
    return { x, y: sum / Math.min(i + 1, window) };
  });
}

/** Many points in groups that follow each other, each by its mean. */
function thin(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / POINTS);
  if (size <= 1) return [...points];
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const group = points.slice(i * size, (i + 1) * size);
    const mean = (of: (point: Point) => number) => group.reduce((sum, point) => sum + of(point), 0) / group.length;
    return { x: mean(({ x }) => x), y: mean(({ y }) => y) };
  });
}

/** Round numbers, 1, 2 or 5 times a power of ten apart, that enclose both ends. */
function ticks(low: number, high: number): number[] {
  if (!(low <= high)) return [];
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / 5));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => span / size <= 6) ?? 10 * power;
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(digits)));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
