import type { ExpressionGraph } from '../../score/graph.ts';
import { type Body, I32, SIMD, V128 } from './assembler.ts';
import { DIAGONALS, KEYS, LANES, laneSteps, PAIRS, type Plan } from './plan.ts';

/** The arguments that both functions of a module begin with; kernel/modifier.ts passes them. */
export const ARGUMENT = { count: 2, key: 3, row: 4, head: 5, batch: 6, parameters: 7, lines: 8, gradients: 9 } as const;

/** Where a parameter's words lie in the block of parameters: its address, then its axes. Word 0 of the block is queryOffset. */
export interface ParameterPlace {
  readonly index: number;
  readonly word: number;
  readonly axes: number;
}

/** Imported functions (v128) -> v128, by their number. */
export const FUNCTIONS = { exp: 0, log: 1, tanh: 2 } as const;

const ARITHMETIC: Partial<Record<string, number>> = {
  add: SIMD.add,
  sub: SIMD.sub,
  mul: SIMD.mul,
  div: SIMD.div,
  min: SIMD.min,
  max: SIMD.max,
  neg: SIMD.neg,
  abs: SIMD.abs,
  floor: SIMD.floor,
};

const COMPARISON: Partial<Record<string, number>> = {
  less: SIMD.less,
  lessEqual: SIMD.lessEqual,
  greater: SIMD.greater,
  greaterEqual: SIMD.greaterEqual,
  equal: SIMD.equal,
  notEqual: SIMD.notEqual,
};

/** Locals of a value: one for each of the two vectors of queries that are computed together, or one for both. */
type Sides = readonly number[];

interface ParameterLocals {
  /** Address, as i32. */
  readonly address: number;
  /** For each axis its greatest index and its step in bytes (undefined: 4), in all lanes. */
  readonly limits: readonly number[];
  readonly steps: readonly (number | undefined)[];
}

/**
 * Writes the code that computes the nodes of a graph, each into locals, in the loop that its level belongs to. A comparison's
 * local holds a mask of bits.
 */
export class Values {
  readonly #body: Body;
  readonly #graph: ExpressionGraph;
  readonly #levels: readonly number[];
  readonly #laneSteps: readonly (number | undefined)[];
  readonly #locals: Sides[] = [];
  readonly #parameters = new Map<string, ParameterLocals>();
  readonly #terms = new Map<string, Sides>();
  readonly #offsets: Sides[] = [];
  readonly #lane: number;

  /** `live`: the nodes to compute, where `plan` says. `lane` is a local: the first query of the two vectors. */
  constructor(
    body: Body,
    graph: ExpressionGraph,
    live: readonly boolean[],
    { levels }: Plan,
    places: ReadonlyMap<string, ParameterPlace>,
    lane: number,
  ) {
    this.#body = body;
    this.#graph = graph;
    this.#levels = levels;
    this.#laneSteps = laneSteps(graph);
    this.#lane = lane;
    const used = new Set(
      graph.nodes.flatMap(({ parameter }, i) => (live[i] && parameter !== undefined ? [parameter] : [])),
    );
    for (const [name, place] of places) if (used.has(name)) this.#parameters.set(name, this.#parameter(place));
  }

  /** What a node varies with. */
  level(node: number): number {
    return this.#levels[node];
  }

  /** Takes the value of a node from the stack, that of the second side last: emit() does not compute it. */
  bind(node: number, sides: 1 | 2): void {
    const locals = Array.from({ length: sides }, () => this.#body.local(V128));
    for (const local of locals.toReversed()) this.#body.set(local);
    this.#locals[node] = locals;
  }

  /**
   * Computes the live nodes of one level, and those parts of look-ups' indices. `key` is a local, `score` pushes the scores of one
   * side: what KEYS and PAIRS need.
   */
  emit(level: number, live: readonly boolean[], key?: number, score?: (side: number) => void): void {
    for (const [i, { kind, operands, parameter }] of this.#graph.nodes.entries()) {
      if (!live[i]) continue;
      if (parameter !== undefined) this.#indexTerms(i, level, parameter, operands);
      if (this.#levels[i] !== level || this.#locals[i] !== undefined) continue;
      if (kind === 'k' && key !== undefined) {
        this.#locals[i] = [key];
        continue;
      }
      this.#locals[i] = this.#sides(level, (side) => {
        if (kind === 'score') score?.(side);
        else if (parameter !== undefined) this.#lookUp(i, parameter, side);
        else this.#compute(i, side);
      });
    }
  }

  /** Pushes a node's value; of a comparison its mask of bits. */
  pushBits(node: number, side: number): void {
    this.#body.get(this.#side(this.#locals[node], side));
  }

  /** Pushes a node's value. */
  push(node: number, side: number): void {
    this.pushBits(node, side);
    if (COMPARISON[this.#graph.nodes[node].kind] === undefined) return;
    this.#body.floats(1, 1, 1, 1);
    this.#body.simd(SIMD.and);
  }

  /** Pushes the offsets in bytes of a look-up's entries from the start of its parameter, as integers. */
  pushOffsets(node: number, side: number): void {
    this.#body.get(this.#side(this.#offsets[node], side));
  }

  /** How a look-up's entries lie beside each other: their distance where it is the same everywhere, or undefined. */
  entryStep(node: number): number | undefined {
    const { operands } = this.#graph.nodes[node];
    const last = operands[operands.length - 1];
    const before = operands.slice(0, -1);
    if (before.every((operand) => [0, KEYS].includes(this.#levels[operand]))) return this.#laneSteps[last];
    // Entries of different rows: far apart if the row steps evenly, perhaps the same if not.
    return before.some((operand) => Math.abs(this.#laneSteps[operand] ?? 0) >= 1)
      ? Number.POSITIVE_INFINITY
      : undefined;
  }

  #side(locals: Sides, side: number): number {
    return locals[locals.length === 1 ? 0 : side];
  }

  #sides(level: number, push: (side: number) => void): Sides {
    return Array.from({ length: (level & LANES) === 0 ? 1 : 2 }, (_, side) => {
      push(side);
      const local = this.#body.local(V128);
      this.#body.set(local);
      return local;
    });
  }

  #compute(node: number, side: number): void {
    const body = this.#body;
    const { kind, operands, value } = this.#graph.nodes[node];
    if (value !== undefined) body.floats(value, value, value, value);
    else if (kind === 'head' || kind === 'batch') this.#splat(ARGUMENT[kind]);
    else if (kind === 'q' || kind === 'row') this.#queries(kind, side);
    else if (kind === 'select') {
      this.push(operands[1], side);
      this.push(operands[2], side);
      this.#pushTruth(operands[0], side);
      body.simd(SIMD.bitselect);
    } else {
      for (const operand of operands) this.push(operand, side);
      const operation = ARITHMETIC[kind] ?? COMPARISON[kind];
      if (operation !== undefined) body.simd(operation);
      else body.call(FUNCTIONS[kind as keyof typeof FUNCTIONS]);
    }
  }

  #pushTruth(node: number, side: number): void {
    if (COMPARISON[this.#graph.nodes[node].kind] !== undefined) {
      this.pushBits(node, side);
      return;
    }
    this.push(node, side);
    this.#body.floats(0, 0, 0, 0);
    this.#body.simd(SIMD.notEqual);
  }

  #splat(argument: number): void {
    this.#body.get(argument);
    this.#body.simd(SIMD.i32Splat);
    this.#body.simd(SIMD.convert);
  }

  #queries(kind: 'q' | 'row', side: number): void {
    const body = this.#body;
    body.get(ARGUMENT.row);
    body.get(this.#lane);
    body.i32Add();
    if (kind === 'q') {
      body.get(ARGUMENT.parameters);
      body.i32Load(0);
      body.i32Add();
    }
    body.simd(SIMD.i32Splat);
    const first = 4 * side;
    body.integers(first, first + 1, first + 2, first + 3);
    body.simd(SIMD.i32Add);
    body.simd(SIMD.convert);
  }

  /** Once, before the loops. */
  #parameter({ word, axes }: ParameterPlace): ParameterLocals {
    const body = this.#body;
    const load = (index: number) => {
      body.get(ARGUMENT.parameters);
      body.i32Load(4 * (word + index));
    };
    load(0);
    const address = body.local(I32);
    body.set(address);
    const limits: number[] = [];
    const steps: (number | undefined)[] = new Array(axes).fill(undefined);
    const step = body.local(I32);
    body.i32(4);
    body.set(step);
    for (let axis = axes - 1; axis >= 0; axis--) {
      load(1 + axis);
      body.i32(1);
      body.i32Sub();
      body.simd(SIMD.i32Splat);
      limits[axis] = body.local(V128);
      body.set(limits[axis]);
      if (axis < axes - 1) {
        body.get(step);
        body.simd(SIMD.i32Splat);
        const all = body.local(V128);
        body.set(all);
        steps[axis] = all;
      }
      load(1 + axis);
      body.get(step);
      body.i32Mul();
      body.set(step);
    }
    return { address, limits, steps };
  }

  /** For each axis whose index has this level: the index, cut and clamped, times the axis's step. */
  #indexTerms(node: number, level: number, parameter: string, operands: readonly number[]): void {
    const body = this.#body;
    const { limits, steps } = this.#parameterLocals(parameter);
    for (const [axis, operand] of operands.entries()) {
      const own = this.#levels[operand];
      // A pair's look-up reads a distance from its line.
      if ((own === DIAGONALS && this.#levels[node] !== DIAGONALS ? PAIRS : own) !== level) continue;
      const term = this.#sides(level, (side) => {
        this.push(operand, side);
        body.simd(SIMD.truncate);
        body.get(limits[axis]);
        body.simd(SIMD.i32Min);
        body.integers(0, 0, 0, 0);
        body.simd(SIMD.i32Max);
        const step = steps[axis];
        if (step === undefined) {
          body.i32(2);
          body.simd(SIMD.i32Shl);
        } else {
          body.get(step);
          body.simd(SIMD.i32Mul);
        }
      });
      this.#terms.set(`${node}.${axis}`, term);
    }
    if (this.#levels[node] !== level) return;
    this.#offsets[node] = this.#sides(level, (side) => {
      for (const axis of operands.keys()) {
        body.get(this.#side(this.#terms.get(`${node}.${axis}`) ?? [], side));
        if (axis > 0) body.simd(SIMD.i32Add);
      }
    });
  }

  #parameterLocals(parameter: string): ParameterLocals {
    const locals = this.#parameters.get(parameter);
    if (!locals) throw new RangeError(`the parameter '${parameter}' has no place`);
    return locals;
  }

  #lookUp(node: number, parameter: string, side: number): void {
    const body = this.#body;
    const { address } = this.#parameterLocals(parameter);
    const offsets = this.#side(this.#offsets[node], side);
    const first = () => {
      body.get(offsets);
      body.simd(SIMD.i32Lane, 0);
      body.get(address);
      body.i32Add();
    };
    const level = this.#levels[node];
    if (level === 0 || level === KEYS) {
      first();
      body.simd(SIMD.loadSplat, 2, 0);
      return;
    }
    const step = this.entryStep(node);
    // Where a look-up is not in the innermost loop, or its lanes lie far apart, nothing is won by looking.
    if ((level & KEYS) === 0 || (step !== undefined && Math.abs(step) !== 1)) {
      this.#gather(offsets, address);
      return;
    }
    this.pushSteps(offsets, step === undefined ? 0 : 4 * step);
    body.branch(
      V128,
      () => {
        first();
        if (step === undefined) body.simd(SIMD.loadSplat, 2, 0);
        else if (step === 1) body.load(0);
        else this.#loadReversed();
      },
      () => this.#gather(offsets, address),
    );
  }

  /** Takes the address of the last of four floats; pushes them in the opposite order. */
  #loadReversed(): void {
    const body = this.#body;
    const floats = body.local(V128);
    body.i32(12);
    body.i32Sub();
    body.load(0);
    body.tee(floats);
    body.get(floats);
    body.shuffle(3, 2, 1, 0);
  }

  /** Pushes whether four integers grow by `step` from one to the next. */
  pushSteps(integers: number, step: number): void {
    const body = this.#body;
    body.get(integers);
    body.get(integers);
    body.get(integers);
    body.shuffle(0, 0, 0, 0);
    if (step !== 0) {
      body.integers(0, step, 2 * step, 3 * step);
      body.simd(SIMD.i32Add);
    }
    body.simd(SIMD.i32Equal);
    body.simd(SIMD.i32AllTrue);
  }

  #gather(offsets: number, address: number): void {
    const body = this.#body;
    for (const lane of [3, 2, 1, 0]) {
      body.get(offsets);
      body.simd(SIMD.i32Lane, lane);
      body.get(address);
      body.i32Add();
    }
    body.simd(SIMD.loadZero, 2, 0);
    for (const lane of [1, 2, 3]) body.simd(SIMD.loadLane, 2, 0, lane);
  }
}
