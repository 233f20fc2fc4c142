import type { ExpressionGraph } from '../../score/graph.ts';

/** What a value varies with, as bits: the lanes (queries side by side), the keys; 3: each pair. */
export const LANES = 1;
export const KEYS = 2;
export const PAIRS = 3;

/** For each node what it varies with: where in the loops it is computed. */
export function levelsOf(graph: ExpressionGraph): number[] {
  const levels: number[] = [];
  for (const { kind, operands } of graph.nodes) {
    const own = kind === 'score' ? PAIRS : kind === 'q' || kind === 'row' ? LANES : kind === 'k' ? KEYS : 0;
    levels.push(operands.reduce((level, operand) => level | levels[operand], own));
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
export function laneSteps(graph: ExpressionGraph, levels: readonly number[]): (number | undefined)[] {
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
