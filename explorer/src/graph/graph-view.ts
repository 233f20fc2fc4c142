import { channels, colour } from '../style/colours.ts';
import type { Connectivity } from './connectivity.ts';

export type Layout = 'circle' | 'line';

/** How far the colours of distances 1, 2, 3, and of all above, are from the pattern's towards the lines'. */
const FADING = [0, 0.4, 0.65, 0.85];
const UNREACHED = 255;

/** Draws tokens on a circle or a line, and the pairs that attend as arcs between them. Sizes are CSS pixels. */
export function drawGraph(canvas: HTMLCanvasElement, graph: Connectivity, layout: Layout): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  const ratio = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const place = layout === 'circle' ? onCircle(graph.tokens, width, height) : onLine(graph.tokens, width, height);
  const arc = layout === 'circle' ? chord : bow;
  const shape = { context, place, middle: { x: width / 2, y: height / 2 } };
  // Many edges would run into one surface: each is fainter, down to what can still be seen.
  const faint = Math.min(0.9, Math.max(0.07, 60 / Math.sqrt(graph.edges.length + 1) / 8));
  strokeEdges(shape, graph.edges, arc, colour('--series-1'), faint);
  strokeEdges(shape, graph.added, arc, colour('--series-2'), Math.min(0.9, faint * 2.5));
  drawTokens(shape, graph);
  drawNumbers(shape, graph, layout);
}

/** The colour of tokens at a distance of `hop`. */
export function shadeOfHop(hop: number): string {
  const [near, far] = [channels('--series-1'), channels('--line')];
  const share = FADING[Math.min(FADING.length, Math.max(1, hop)) - 1];
  return `rgb(${near.map((own, i) => Math.round(own + (far[i] - own) * share)).join(' ')})`;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Shape {
  readonly context: CanvasRenderingContext2D;
  readonly place: (token: number) => Point;
  readonly middle: Point;
}

/** Token 0 at the top, then clockwise; a gap between the last and the first, which are not neighbours. */
function onCircle(tokens: number, width: number, height: number): (token: number) => Point {
  const radius = Math.min(width, height) / 2 - 26;
  const gap = 0.16;
  return (token) => {
    const angle = -Math.PI / 2 + gap / 2 + ((2 * Math.PI - gap) * token) / Math.max(1, tokens - 1);
    return { x: width / 2 + radius * Math.cos(angle), y: height / 2 + radius * Math.sin(angle) };
  };
}

function onLine(tokens: number, width: number, height: number): (token: number) => Point {
  const margin = 22;
  return (token) => ({ x: margin + ((width - 2 * margin) * token) / Math.max(1, tokens - 1), y: height / 2 });
}

function chord({ context, place, middle }: Shape, from: number, to: number): void {
  const [a, b] = [place(from), place(to)];
  const half = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  const radius = Math.hypot(a.x - middle.x, a.y - middle.y);
  // Bent towards the middle, the farther the longer, and so that neighbours' edges are seen inside the circle.
  const bend = 0.1 + (0.5 * Math.hypot(a.x - b.x, a.y - b.y)) / (2 * radius);
  context.moveTo(a.x, a.y);
  context.quadraticCurveTo(half.x + (middle.x - half.x) * bend, half.y + (middle.y - half.y) * bend, b.x, b.y);
}

/** Reading back over the line, reading ahead under it. */
function bow({ context, place, middle }: Shape, from: number, to: number): void {
  const [a, b] = [place(from), place(to)];
  const rise = Math.min(Math.abs(a.x - b.x) / 2, middle.y - 14);
  const y = to < from ? a.y - rise * 1.3 : a.y + rise * 1.3;
  context.moveTo(a.x, a.y);
  context.bezierCurveTo(a.x, y, b.x, y, b.x, b.y);
}

function strokeEdges(
  shape: Shape,
  edges: Uint32Array,
  arc: (shape: Shape, from: number, to: number) => void,
  stroke: string,
  alpha: number,
): void {
  const { context } = shape;
  context.strokeStyle = stroke;
  context.globalAlpha = alpha;
  context.lineWidth = 1;
  // One path for each edge: the strokes of one path do not add up where they cross.
  for (let e = 0; e < edges.length; e += 2) {
    context.beginPath();
    arc(shape, edges[e], edges[e + 1]);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawTokens({ context, place }: Shape, { nodes, hops, tokens }: Connectivity): void {
  const size = tokens <= 40 ? 5 : 3.5;
  for (const [i, token] of nodes.entries()) {
    const { x, y } = place(token);
    const hop = hops[i];
    context.beginPath();
    context.arc(x, y, size + (hop === 0 ? 2.5 : hop === 1 ? 1 : 0), 0, 2 * Math.PI);
    context.fillStyle = hop === 0 ? colour('--ink') : hop === UNREACHED ? colour('--panel') : shadeOfHop(hop);
    context.fill();
    context.lineWidth = hop === UNREACHED ? 1.5 : 1;
    context.strokeStyle = hop === UNREACHED ? colour('--quiet') : colour('--panel');
    context.stroke();
  }
}

function drawNumbers({ context, place, middle }: Shape, { tokens }: Connectivity, layout: Layout): void {
  context.font = '11px "Inter", system-ui, sans-serif';
  context.fillStyle = colour('--quiet');
  context.textBaseline = 'middle';
  context.textAlign = 'center';
  // A rim, so that the numbers under the line are read over its edges.
  context.strokeStyle = colour('--panel');
  context.lineWidth = 4;
  const marks = 8;
  const known = new Set<number>();
  for (let i = 0; i <= marks; i++) {
    const token = Math.round((i * (tokens - 1)) / marks);
    if (known.has(token)) continue;
    known.add(token);
    const { x, y } = place(token);
    const text = token.toLocaleString('en');
    if (layout === 'line') {
      if (i % 2 === 1) continue;
      const at = Math.min(2 * middle.x - 20, Math.max(20, x));
      context.strokeText(text, at, y + 17);
      context.fillText(text, at, y + 17);
      continue;
    }
    const away = Math.hypot(x - middle.x, y - middle.y);
    const shift = 15 / away;
    // The first and the last lie side by side.
    const aside = i === 0 ? 8 : i === marks ? -8 : 0;
    context.fillText(text, x + (x - middle.x) * shift + aside, y + (y - middle.y) * shift);
  }
}
