import type { ExpressionGraph, Node } from '../../score/graph.ts';

/** What a value varies with, as bits: the lanes (queries side by side), the keys; 3: each pair. */
export const LANES = 1;
export const KEYS = 2;
export const PAIRS = 3;
/** With k - q alone, beside head and batch: computed once for each distance in a tile, and kept as a line of numbers. */
export const DIAGONALS = 4;

/** Lines that a thread has room for, and the bytes of each: the distances of T keys and the widest P queries (kernel/job.ts). */
export const MAXIMUM_LINES = 16;
export const LINE_BYTES = 4 * (64 + 16);

/** Operations on distances that are worth a loop of their own; a look-up or a function counts as several. */
const WORTH_A_LINE = 4;
const COSTLY: readonly string[] = ['lookup', 'exp', 'log', 'tanh'];

/** Where in the loops each value is computed. */
export interface Plan {
  /** For each node what it varies with. */
  readonly levels: readonly number[];
  /** Nodes of level DIAGONALS that the innermost loop reads: each is a line. */
  readonly lines: readonly number[];
  /** Look-ups of that level whose entries have gradients: of each the offsets and the sums are a line, after those. */
  readonly sums: readonly number[];
}

/** `outputs` are the nodes that the innermost loop needs, `lookups` those whose entries have gradients. */
export function planOf(
  graph: ExpressionGraph,
  live: readonly boolean[],
  outputs: readonly number[],
  lookups: readonly number[] = [],
): Plan {
  const plain = levelsOf(graph, []);
  const { nodes } = graph;
  const diagonal: boolean[] = [];
  for (const [i, node] of nodes.entries()) {
    const { operands } = node;
    const follows = operands.every((o) => diagonal[o] || plain[o] === 0) && operands.some((o) => diagonal[o]);
    diagonal.push(live[i] && (isDistance(graph, node) || follows));
  }
  const isRead = new Array<boolean>(nodes.length).fill(false);
  for (const output of outputs) isRead[output] = true;
  for (const [i, { operands }] of nodes.entries()) {
    if (live[i] && !diagonal[i]) for (const operand of operands) isRead[operand] = true;
  }
  const lines = [...nodes.keys()].filter((i) => diagonal[i] && isRead[i]);
  const sums = lookups.filter((i) => diagonal[i]);
  const cost = nodes.reduce((sum, node, i) => {
    if (!diagonal[i] || isDistance(graph, node)) return sum;
    return sum + (COSTLY.includes(node.kind) ? WORTH_A_LINE : 1);
  }, 0);
  if (cost < WORTH_A_LINE || lines.length + 2 * sums.length > MAXIMUM_LINES)
    return { levels: plain, lines: [], sums: [] };
  return { levels: levelsOf(graph, diagonal), lines, sums };
}

/** k - q or q - k. */
export function isDistance(graph: ExpressionGraph, { kind, operands }: Node): boolean {
  const kinds = operands.map((operand) => graph.nodes[operand].kind).join();
  return kind === 'sub' && (kinds === 'k,q' || kinds === 'q,k');
}

function levelsOf(graph: ExpressionGraph, diagonal: readonly boolean[]): number[] {
  const levels: number[] = [];
  for (const [i, { kind, operands }] of graph.nodes.entries()) {
    const own = kind === 'score' ? PAIRS : kind === 'q' || kind === 'row' ? LANES : kind === 'k' ? KEYS : 0;
    const level = operands.reduce((sum, o) => sum | (levels[o] === DIAGONALS ? PAIRS : levels[o]), own);
    levels.push(diagonal[i] ? DIAGONALS : level);
  }
  return levels;
}

/** The nodes that some outputs need. */
export function liveNodes(graph: ExpressionGraph, outputs: readonly number[]): boolean[] {
  const live = new Array<boolean>(graph.nodes.length).fill(false);
  for (const output of outputs) live[output] = true;
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    if (live[i]) for (const operand of graph.nodes[i].operands) live[operand] = true;
  }
  return live;
}

/** How much each node grows from one query to the next, undefined where that is not the same everywhere. */
export function laneSteps(graph: ExpressionGraph): (number | undefined)[] {
  const levels = levelsOf(graph, []);
  const steps: (number | undefined)[] = [];
  for (const [i, { kind, operands }] of graph.nodes.entries()) {
    const [x, y] = operands.map((operand) => steps[operand]);
    if ((levels[i] & LANES) === 0) steps.push(0);
    else if (kind === 'q' || kind === 'row') steps.push(1);
    else if (x === undefined || (operands.length > 1 && y === undefined)) steps.push(undefined);
    else if (kind === 'neg') steps.push(-x);
    else if (kind === 'add') steps.push(x + (y ?? 0));
    else if (kind === 'sub') steps.push(x - (y ?? 0));
    // Between the bounds; the compiled code looks whether it is there.
    else if ((kind === 'min' || kind === 'max') && (x === 0 || y === 0)) steps.push(x + (y ?? 0));
    else steps.push(undefined);
  }
  return steps;
}
