import uPlot from 'uplot';
import { colour } from '../style/colours.ts';

export interface ChartSeries {
  readonly name: string;
  /** One of --series-1 to --series-6. */
  readonly color: `--series-${1 | 2 | 3 | 4 | 5 | 6}`;
  /** Lengths of strokes and gaps in pixels, so that colour alone does not tell lines apart. Default: a whole line. */
  readonly dash?: readonly number[];
  /** Without points: for what is computed rather than measured or counted. */
  readonly isSmooth?: boolean;
  /** One for each x; null where there is none. On a logarithmic axis what is not above 0 is left out. */
  readonly values: readonly (number | null)[];
}

/** A level across the chart, with its name. */
export interface ChartLine {
  readonly name: string;
  readonly value: number;
}

export interface Curves {
  readonly x: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly isLogX: boolean;
  readonly isLogY: boolean;
  readonly formatX: (x: number) => string;
  readonly formatY: (y: number) => string;
  readonly lines: readonly ChartLine[];
  /** An x that is marked. */
  readonly mark: number | undefined;
  readonly formatMark: (x: number) => string;
}

const FONT = '12px "Inter", system-ui, sans-serif';

/** Curves on a canvas, in the colours of the page. Ends with destroy(). */
export class CurveChart {
  readonly #plot: uPlot;
  #curves: Curves;

  constructor(target: HTMLElement, curves: Curves, height: number, onPoint: (index: number | null) => void) {
    this.#curves = curves;
    this.#plot = new uPlot(
      {
        width: target.clientWidth,
        height,
        padding: [14, 12, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 9 } },
        scales: {
          x: {
            time: false,
            ...(curves.isLogX ? { distr: 3, log: 2 } : {}),
            range: (_, low, high) => this.#rangeX(low, high),
          },
          y: {
            ...(curves.isLogY ? { distr: 3, log: 10 } : {}),
            range: (_, low, high) => this.#rangeY(low, high),
          },
        },
        series: [
          {},
          ...curves.series.map(
            (series): uPlot.Series => ({
              label: series.name,
              stroke: () => colour(series.color),
              width: 2,
              dash: [...(series.dash ?? [])],
              points: { show: series.isSmooth !== true, size: 6, fill: () => colour(series.color) },
            }),
          ),
        ],
        axes: [this.#axis('x'), this.#axis('y')],
        hooks: {
          draw: [() => this.#drawLines()],
          setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)],
        },
      },
      this.#data(),
      target,
    );
  }

  /** Draws other values of the same series. */
  show(curves: Curves): void {
    this.#curves = curves;
    this.#plot.setData(this.#data());
  }

  resize(width: number, height: number): void {
    if (width > 0) this.#plot.setSize({ width, height });
  }

  /** Takes the colours anew. */
  repaint(): void {
    this.#plot.redraw();
  }

  /** Puts the cursor on a point. */
  point(index: number): void {
    const left = this.#plot.valToPos(this.#curves.x[index] ?? 0, 'x');
    this.#plot.setCursor({ left, top: 0 });
  }

  destroy(): void {
    this.#plot.destroy();
  }

  #data(): uPlot.AlignedData {
    const { x, series, isLogY } = this.#curves;
    const drawn = series.map(({ values }) =>
      values.map((value) => (value === null || (isLogY && value <= 0) ? null : value)),
    );
    return [[...x], ...drawn];
  }

  #rangeX(low: number | null, high: number | null): [number, number] {
    if (low === null || high === null) return [1, 2];
    if (low < high) return [low, high];
    return this.#curves.isLogX ? [low / 2, high * 2] : [low - 1, high + 1];
  }

  #rangeY(low: number | null, high: number | null): [number, number] {
    if (low === null || high === null) return [1, 10];
    if (!this.#curves.isLogY) return [0, high === 0 ? 1 : high * 1.08];
    return [10 ** Math.floor(Math.log10(low) + 1e-9), 10 ** Math.ceil(Math.log10(high * 1.2) - 1e-9)];
  }

  #axis(scale: 'x' | 'y'): uPlot.Axis {
    const isX = scale === 'x';
    const { isLogX, isLogY } = this.#curves;
    return {
      scale,
      font: FONT,
      stroke: () => colour('--quiet'),
      grid: { stroke: () => colour('--line'), width: 1 },
      ticks: { show: false },
      size: isX ? 30 : 66,
      gap: 6,
      space: isX ? 56 : 32,
      values: (_, ticks) =>
        ticks.map((tick) => (tick === null ? '' : isX ? this.#curves.formatX(tick) : this.#curves.formatY(tick))),
      ...(isX ? { splits: (plot: uPlot) => this.#ticksX(plot.bbox.width / devicePixelRatio) } : {}),
      ...(!isX && isLogY ? { splits: (plot: uPlot) => decades(plot, plot.bbox.height / devicePixelRatio) } : {}),
      ...((isX && isLogX) || (!isX && isLogY) ? { filter: (_: uPlot, ticks: number[]) => ticks } : {}),
    };
  }

  /** Powers of two as far apart as their names need; else some of the x that there are. */
  #ticksX(width: number): number[] {
    const { x, isLogX } = this.#curves;
    const [first, last] = [x[0] ?? 1, x.at(-1) ?? 2];
    const room = Math.max(2, Math.floor(width / 56));
    if (!isLogX) return x.length <= room ? [...x] : x.filter((_, i) => i % Math.ceil(x.length / room) === 0);
    const [low, high] = [Math.ceil(Math.log2(first)), Math.floor(Math.log2(last))];
    const step = Math.max(1, Math.ceil((high - low + 1) / room));
    return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => 2 ** (low + i * step));
  }

  #drawLines(): void {
    const { ctx, bbox, scales } = this.#plot;
    const { lines, mark } = this.#curves;
    const ratio = devicePixelRatio;
    const [low, high] = [scales.y.min ?? 0, scales.y.max ?? 0];
    ctx.save();
    ctx.font = FONT.replace('12', String(12 * ratio));
    ctx.lineWidth = ratio;
    ctx.strokeStyle = colour('--line-strong');
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    let above = -Infinity;
    for (const { name, value } of [...lines].sort((a, b) => b.value - a.value)) {
      if (value < low || value > high) continue;
      const y = Math.round(this.#plot.valToPos(value, 'y', true));
      // Under its line where there is no room over it.
      const isUnder = y - above < 16 * ratio;
      above = y;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.fillStyle = colour('--quiet');
      ctx.textAlign = 'left';
      ctx.textBaseline = isUnder ? 'top' : 'bottom';
      ctx.fillText(name, bbox.left + 6 * ratio, y + (isUnder ? 4 : -2) * ratio);
    }
    const [first, last] = [scales.x.min ?? 0, scales.x.max ?? 0];
    if (mark !== undefined && mark >= first && mark <= last) {
      const x = Math.round(this.#plot.valToPos(mark, 'x', true));
      ctx.strokeStyle = colour('--line-strong');
      ctx.setLineDash([]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const isRight = x > bbox.left + bbox.width / 2;
      ctx.fillStyle = colour('--ink');
      ctx.textAlign = isRight ? 'right' : 'left';
      ctx.textBaseline = 'bottom';
      ctx.fillText(this.#curves.formatMark(mark), x + (isRight ? -5 : 5) * ratio, bbox.top + bbox.height - 4 * ratio);
    }
    ctx.restore();
  }
}

/** Powers of ten within the scale, as far apart as their names need. */
function decades({ scales }: uPlot, height: number): number[] {
  const low = Math.ceil(Math.log10(scales.y.min ?? 1) - 1e-9);
  const high = Math.floor(Math.log10(scales.y.max ?? 10) + 1e-9);
  const step = Math.max(1, Math.ceil((high - low + 1) / Math.max(2, Math.floor(height / 32))));
  return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => 10 ** (low + i * step));
}
