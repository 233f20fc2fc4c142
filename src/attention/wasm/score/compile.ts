/**
 * Compiles a score expression into a WebAssembly module with the two functions that the kernel calls on a tile [keys, P queries]
 * (kernel/modifier.ts declares them): `modify` computes modified scores, `differentiate` turns the gradient of the modified scores
 * into that of the scores, and adds up the gradients of the parameters.
 *
 * Two vectors of queries side by side are computed together. What does not vary with the pair is computed outside of the loop
 * over keys: expressions of head and batch once, of the distance k - q once for each distance in the tile (lines.ts), of the query once
 * for two vectors, of the key once for each key.
 */
import { differentiate } from '../../score/differentiate.ts';
import type { Expression } from '../../score/expression.ts';
import { ExpressionGraph } from '../../score/graph.ts';
import { Body, encodeModule, I32, SIMD, type Signature, V128 } from './assembler.ts';
import { GradientSums } from './gradient-sums.ts';
import { Lines } from './lines.ts';
import { KEYS, LANES, liveNodes, PAIRS, planOf } from './plan.ts';
import { ARGUMENT, FUNCTIONS, type ParameterPlace, Values } from './values.ts';

const MODIFY: Signature = { parameters: new Array(9).fill(I32), results: [] };
const DIFFERENTIATE: Signature = { parameters: new Array(10).fill(I32), results: [] };
const VECTOR: Signature = { parameters: [V128], results: [V128] };

/** Bytes of two vectors. */
const STEP = 32;

export interface CompiledScore {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Parameters in the order of the block of parameters and of the addresses of gradients. */
  readonly parameters: readonly string[];
}

/** `panel`: P, the queries in a row of a tile. */
export function compileScore(expression: Expression, panel: number): CompiledScore {
  const graph = new ExpressionGraph();
  const output = graph.add(expression);
  const places = placeParameters(graph);
  const forward = modifyBody(graph, output, places, panel);
  return {
    bytes: encodeModule({
      imports: Object.keys(FUNCTIONS).map((name) => ({ module: 'kernel', name, signature: VECTOR })),
      functions: [
        { name: 'modify', body: forward },
        { name: 'differentiate', body: differentiateBody(graph, output, places, panel) },
      ],
    }),
    parameters: [...places.keys()],
  };
}

/** The order of parameters in an expression: that of their first look-up. */
export function parametersOf(expression: Expression): string[] {
  const graph = new ExpressionGraph();
  graph.add(expression);
  return [...placeParameters(graph).keys()];
}

function placeParameters(graph: ExpressionGraph): Map<string, ParameterPlace> {
  const places = new Map<string, ParameterPlace>();
  let word = 1;
  for (const { parameter, operands } of graph.nodes) {
    if (parameter === undefined || places.has(parameter)) continue;
    places.set(parameter, { index: places.size, word, axes: operands.length });
    word += 1 + operands.length;
  }
  return places;
}

/** Two tiles, walked through together. */
interface Walk {
  readonly body: Body;
  readonly values: Values;
  readonly lines: Lines;
  readonly live: readonly boolean[];
  readonly panel: number;
  /** Local: the first query of the two vectors. */
  readonly lane: number;
  /** Called before the loop over keys, inside it for each key, and after it. */
  readonly before?: () => void;
  readonly inside: (from: number, to: number) => void;
  readonly after?: () => void;
}

/** The loops. Arguments 0 and 1 are the tiles; `from` and `to` are locals that point at the two vectors in them. */
function walk({ body, values, lines, live, panel, lane, before, inside, after }: Walk): void {
  const [from, to, left] = [0, 0, 0].map(() => body.local(I32));
  const key = body.local(V128);
  const score = (side: number) => {
    body.get(from);
    body.load(16 * side);
  };
  values.emit(0, live);
  lines.compute(values, live);
  body.loop(() => {
    values.emit(LANES, live);
    before?.();
    lines.beforeKeys(lane);
    for (const [argument, pointer] of [from, to].entries()) {
      body.get(lane);
      body.i32(2);
      body.i32Shl();
      body.get(argument);
      body.i32Add();
      body.set(pointer);
    }
    body.get(ARGUMENT.key);
    body.simd(SIMD.i32Splat);
    body.simd(SIMD.convert);
    body.set(key);
    body.get(ARGUMENT.count);
    body.set(left);
    body.loop(() => {
      values.emit(KEYS, live, key);
      lines.read(values);
      values.emit(PAIRS, live, key, score);
      inside(from, to);
      for (const pointer of [from, to]) {
        body.get(pointer);
        body.i32(4 * panel);
        body.i32Add();
        body.set(pointer);
      }
      lines.afterKey();
      body.get(key);
      body.floats(1, 1, 1, 1);
      body.simd(SIMD.add);
      body.set(key);
      body.get(left);
      body.i32(1);
      body.i32Sub();
      body.tee(left);
    });
    after?.();
    body.get(lane);
    body.i32(STEP / 4);
    body.i32Add();
    body.tee(lane);
    body.i32(panel);
    body.i32LessUnsigned();
  });
}

function modifyBody(
  graph: ExpressionGraph,
  output: number,
  places: ReadonlyMap<string, ParameterPlace>,
  panel: number,
): Body {
  const body = new Body(MODIFY);
  const live = liveNodes(graph, [output]);
  const plan = planOf(graph, live, [output]);
  const lane = body.local(I32);
  const values = new Values(body, graph, live, plan, places, lane);
  walk({
    body,
    values,
    lines: new Lines(body, graph, plan, panel),
    live,
    panel,
    lane,
    inside: (_, to) => {
      for (const side of [0, 1]) {
        body.get(to);
        values.push(output, side);
        // The softmax works in units of log2.
        body.floats(Math.LOG2E, Math.LOG2E, Math.LOG2E, Math.LOG2E);
        body.simd(SIMD.mul);
        body.store(16 * side);
      }
    },
  });
  return body;
}

function differentiateBody(
  graph: ExpressionGraph,
  output: number,
  places: ReadonlyMap<string, ParameterPlace>,
  panel: number,
): Body {
  const body = new Body(DIFFERENTIATE);
  const { slope, lookups } = differentiate(graph, output);
  const outputs = [...(slope === undefined ? [] : [slope]), ...lookups.map(({ adjoint }) => adjoint)];
  const entries = lookups.map(({ node }) => node);
  const live = liveNodes(graph, [...outputs, ...entries]);
  const plan = planOf(graph, live, outputs, entries);
  const lane = body.local(I32);
  const values = new Values(body, graph, live, plan, places, lane);
  const lines = new Lines(body, graph, plan, panel);
  const sums = new GradientSums(body, graph, values, lines, plan, places, lookups);
  const gradient = [body.local(V128), body.local(V128)];
  /** Pushes the gradient times a derivative. A masked pair has gradient 0, and may have any derivative. */
  const pushProduct = (derivative: number, side: number) => {
    body.get(gradient[side]);
    if (graph.nodes[derivative].value === 1) return;
    values.push(derivative, side);
    body.simd(SIMD.mul);
    if (graph.nodes[derivative].value !== undefined) return;
    body.get(gradient[side]);
    body.floats(0, 0, 0, 0);
    body.simd(SIMD.notEqual);
    body.simd(SIMD.and);
  };
  walk({
    body,
    values,
    lines,
    live,
    panel,
    lane,
    before: () => sums.beforeKeys(),
    inside: (_, to) => {
      for (const side of [0, 1]) {
        body.get(to);
        body.load(16 * side);
        body.set(gradient[side]);
      }
      sums.add(pushProduct);
      if (slope !== undefined && graph.nodes[slope].value === 1) return;
      for (const side of [0, 1]) {
        body.get(to);
        if (slope === undefined) body.floats(0, 0, 0, 0);
        else pushProduct(slope, side);
        body.store(16 * side);
      }
    },
    after: () => sums.afterKeys(),
  });
  sums.atEnd();
  return body;
}
