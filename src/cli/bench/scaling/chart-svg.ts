import { bounds, type Line, logTicks } from './chart.ts';

/** Colours that the common kinds of colour blindness keep apart (Okabe and Ito 2008), black aside. */
const COLOURS = ['#0072b2', '#56b4e9', '#009e73', '#7cb518', '#e69f00', '#d55e00', '#cc79a7', '#8a5a9e'];
const GREY = '#808080';
const WIDTH = 640;
const HEIGHT = 420;
const MARGIN = { left: 70, right: 160, top: 44, bottom: 46 };

/** Curves on logarithmic axes as an SVG document without a ground of its own. Names stand at the ends of the curves. */
export function drawChartSvg(
  lines: readonly Line[],
  options: {
    readonly title: string;
    readonly xName: string;
    readonly yName: string;
    readonly formatX: (x: number) => string;
    readonly formatY: (y: number) => string;
  },
): string {
  const { title, xName, yName, formatX, formatY } = options;
  const drawn = lines.filter(({ points }) => points.length > 0);
  const { x0, x1, y0, y1 } = bounds(drawn);
  const right = WIDTH - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const along = (value: number, low: number, high: number): number =>
    high <= low ? 0 : Math.log(value / low) / Math.log(high / low);
  const px = (x: number): number => round(MARGIN.left + along(x, x0, x1) * (right - MARGIN.left));
  const py = (y: number): number => round(bottom - along(y, y0, y1) * (bottom - MARGIN.top));
  const xs = [...new Set(drawn.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const ends = spread(drawn.map(({ points }) => py(points.at(-1)?.y ?? y0)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="${GREY}">`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="${MARGIN.left}" y="20" font-size="13" font-weight="600">${escapeXml(title)}</text>`,
    ...logTicks(y0, y1).map(
      (y) =>
        `<path stroke="${GREY}" stroke-opacity="0.3" d="M${MARGIN.left} ${py(y)}H${right}"/>` +
        `<text x="${MARGIN.left - 6}" y="${py(y) + 4}" text-anchor="end">${escapeXml(formatY(y))}</text>`,
    ),
    ...xs.map(
      (x) =>
        `<path stroke="${GREY}" stroke-opacity="0.3" d="M${px(x)} ${MARGIN.top}V${bottom}"/>` +
        `<text x="${px(x)}" y="${bottom + 16}" text-anchor="middle">${escapeXml(formatX(x))}</text>`,
    ),
    `<text x="${(MARGIN.left + right) / 2}" y="${bottom + 36}" text-anchor="middle">${escapeXml(xName)}</text>`,
    `<text transform="translate(14 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeXml(yName)}</text>`,
    ...drawn.map(({ name, points }, i) => {
      const colour = COLOURS[i % COLOURS.length] ?? GREY;
      const path = points.map(({ x, y }, p) => `${p === 0 ? 'M' : 'L'}${px(x)} ${py(y)}`).join('');
      const last = points.at(-1);
      const dots = points.map(({ x, y }) => `<circle cx="${px(x)}" cy="${py(y)}" r="2.5" fill="${colour}"/>`).join('');
      const [endX, endY] = [px(last?.x ?? x0), ends[i] ?? bottom];
      return (
        `<path fill="none" stroke="${colour}" stroke-width="1.5" d="${path}"/>${dots}` +
        `<path fill="none" stroke="${colour}" stroke-opacity="0.5" d="M${endX + 4} ${py(last?.y ?? y0)}L${right + 10} ${endY}"/>` +
        `<text x="${right + 14}" y="${endY + 4}" fill="${colour}">${escapeXml(name)}</text>`
      );
    }),
    `</svg>`,
  ].join('\n');
}

/** Heights of labels near the wanted ones, at least a line apart, in the same order. */
function spread(wanted: readonly number[]): number[] {
  const LINE = 14;
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const result = [...wanted];
  let below = -Infinity;
  for (const i of order) {
    below = Math.max(below + LINE, wanted[i] ?? 0);
    result[i] = below;
  }
  const over = Math.max(0, below - (HEIGHT - MARGIN.bottom));
  return result.map((y) => y - over);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
