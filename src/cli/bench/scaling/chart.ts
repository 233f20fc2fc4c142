/** One curve of a chart: points with a name. */
export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** The smallest and largest x and y of all lines. */
export function bounds(lines: readonly Line[]): { x0: number; x1: number; y0: number; y1: number } {
  const xs = lines.flatMap(({ points }) => points.map(({ x }) => x));
  const ys = lines.flatMap(({ points }) => points.map(({ y }) => y));
  return { x0: Math.min(...xs), x1: Math.max(...xs), y0: Math.min(...ys), y1: Math.max(...ys) };
}

/** The powers of ten, or with few of them also 2 and 5 times those, between two numbers. */
export function logTicks(low: number, high: number): number[] {
  const steps = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const tick = step * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

/**
 * Curves on logarithmic axes in characters. Each line has a letter, from a on in the order given, at its points, and dots
 * between them; where letters meet, the first stays. `formatX` and `formatY` write the axes.
 */
export function drawChart(
  lines: readonly Line[],
  options: {
    readonly columns: number;
    readonly rows: number;
    readonly formatX: (x: number) => string;
    readonly formatY: (y: number) => string;
  },
): string {
  const { formatX, formatY } = options;
  const drawn = lines.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return '';
  const { x0, x1, y0, y1 } = bounds(drawn);
  const rows = options.rows;
  const ticks = new Map(logTicks(y0, y1).map((tick) => [place(tick, y0, y1, rows), formatY(tick)]));
  const left = Math.max(...[...ticks.values()].map((label) => label.length), 1);
  const columns = Math.max(16, options.columns - left - 3);
  const cells = Array.from({ length: rows }, () => Array.from({ length: columns }, () => ' '));
  const put = (column: number, row: number, character: string, over: string): void => {
    const line = cells[rows - 1 - row];
    if (line !== undefined && over.includes(line[column] ?? '')) line[column] = character;
  };
  for (const [i, { points }] of lines.entries()) {
    for (const { x, y } of points) put(place(x, x0, x1, columns), place(y, y0, y1, rows), letter(i), ' ·');
    for (const [p, from] of points.entries()) {
      const to = points[p + 1];
      if (to === undefined) continue;
      const [start, end] = [place(from.x, x0, x1, columns), place(to.x, x0, x1, columns)];
      for (let column = start + 1; column < end; column++) {
        const share = (column - start) / (end - start);
        put(column, place(from.y * (to.y / from.y) ** share, y0, y1, rows), '·', ' ');
      }
    }
  }
  const body = cells.map((line, i) => {
    const label = ticks.get(rows - 1 - i);
    return `${(label ?? '').padStart(left)} ${label === undefined ? '│' : '┤'}${line.join('').trimEnd()}`;
  });
  const xs = [...new Set(drawn.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const axis = Array.from({ length: columns }, () => '─');
  const labels = Array.from({ length: columns + 8 }, () => ' ');
  let free = 0;
  for (const x of xs) {
    const column = place(x, x0, x1, columns);
    axis[column] = '┬';
    const label = formatX(x);
    const start = Math.max(0, Math.min(column - (label.length >> 1), columns - label.length));
    if (start < free) continue;
    for (const [c, character] of [...label].entries()) labels[start + c] = character;
    free = start + label.length + 1;
  }
  return [...body, `${' '.repeat(left)} └${axis.join('')}`, `${' '.repeat(left)}  ${labels.join('').trimEnd()}`].join(
    '\n',
  );
}

/** The name of the i-th line in the chart. */
export function letter(i: number): string {
  return String.fromCharCode('a'.charCodeAt(0) + i);
}

/** Where a number stands among `count` cells that span a range evenly in logarithms. */
function place(value: number, low: number, high: number, count: number): number {
  return high <= low ? 0 : Math.round((Math.log(value / low) / Math.log(high / low)) * (count - 1));
}
