import type { ExpressionGraph } from '../../score/graph.ts';
import { type Body, I32, SIMD, V128 } from './assembler.ts';
import { DIAGONALS, isDistance, LINE_BYTES, type Plan } from './plan.ts';
import { ARGUMENT, type Values } from './values.ts';

/**
 * Values that vary with k - q alone: relative biases, buckets. A tile [count keys, P queries] has count + P - 1 distances, so they
 * are computed once for each of those, into lines of the thread's scratch; place i is the distance of query lane + i and key
 * count - 1, so that the vectors of queries side by side lie in a line as they are, one place further down for each key.
 */
export class Lines {
  readonly #body: Body;
  readonly #graph: ExpressionGraph;
  readonly #plan: Plan;
  readonly #panel: number;
  /** Locals: a place in the first line, in bytes; and the same counted in places. */
  readonly #at: number;
  readonly #place: number;

  constructor(body: Body, graph: ExpressionGraph, plan: Plan, panel: number) {
    this.#body = body;
    this.#graph = graph;
    this.#plan = plan;
    this.#panel = panel;
    this.#at = body.local(I32);
    this.#place = body.local(I32);
  }

  /** Before the other loops: the values, and the offsets of entries that have gradients, whose sums begin at 0. */
  compute(values: Values, live: readonly boolean[]): void {
    if (!this.#isUsed) return;
    const { lines, sums } = this.#plan;
    const body = this.#body;
    const distance = body.local(V128);
    this.#eachPlace(4, () => {
      body.get(ARGUMENT.key);
      body.get(ARGUMENT.count);
      body.i32Add();
      body.i32(1);
      body.i32Sub();
      body.get(ARGUMENT.row);
      body.i32Sub();
      body.get(ARGUMENT.parameters);
      body.i32Load(0);
      body.i32Sub();
      body.get(this.#place);
      body.i32Sub();
      body.simd(SIMD.i32Splat);
      body.integers(0, -1, -2, -3);
      body.simd(SIMD.i32Add);
      body.set(distance);
      for (const [i, node] of this.#graph.nodes.entries()) {
        if (values.level(i) !== DIAGONALS || !isDistance(this.#graph, node)) continue;
        body.get(distance);
        // In integers, so that 0 has no sign.
        if (this.#graph.nodes[node.operands[0]].kind === 'q') body.simd(SIMD.i32Negate);
        body.simd(SIMD.convert);
        values.bind(i, 1);
      }
      values.emit(DIAGONALS, live);
      for (const [line, node] of lines.entries()) {
        body.get(this.#at);
        values.pushBits(node, 0);
        body.store(line * LINE_BYTES);
      }
      for (const [i, node] of sums.entries()) {
        body.get(this.#at);
        values.pushOffsets(node, 0);
        body.store(this.#line(i, 'offsets'));
        body.get(this.#at);
        body.floats(0, 0, 0, 0);
        body.store(this.#line(i, 'sums'));
      }
    });
  }

  /** Before the loop over keys, for the queries from `lane` on. */
  beforeKeys(lane: number): void {
    if (!this.#isUsed) return;
    const body = this.#body;
    body.get(ARGUMENT.count);
    body.get(lane);
    body.i32Add();
    body.i32(1);
    body.i32Sub();
    body.i32(2);
    body.i32Shl();
    body.get(ARGUMENT.lines);
    body.i32Add();
    body.set(this.#at);
  }

  /** For one key: gives the values to those that read them. */
  read(values: Values): void {
    for (const [line, node] of this.#plan.lines.entries()) {
      for (const side of [0, 1]) {
        this.#body.get(this.#at);
        this.#body.load(line * LINE_BYTES + 16 * side);
      }
      values.bind(node, 2);
    }
  }

  /** After each key. */
  afterKey(): void {
    if (!this.#isUsed) return;
    const body = this.#body;
    body.get(this.#at);
    body.i32(4);
    body.i32Sub();
    body.set(this.#at);
  }

  /** After the last key: adds eight numbers, as two locals, to that key's eight places. */
  addRow(sum: number, sides: readonly number[]): void {
    const body = this.#body;
    for (const [side, local] of sides.entries()) {
      // afterKey() has gone one place too far.
      const offset = this.#line(sum, 'sums') + 4 + 16 * side;
      body.get(this.#at);
      body.get(this.#at);
      body.load(offset);
      body.get(local);
      body.simd(SIMD.add);
      body.store(offset);
    }
  }

  /** Adds the last lane of a local to the last of this key's eight places. */
  addLast(sum: number, local: number): void {
    const body = this.#body;
    const offset = this.#line(sum, 'sums') + 28;
    body.get(this.#at);
    body.get(this.#at);
    body.f32Load(offset);
    body.get(local);
    body.simd(SIMD.f32Lane, 3);
    body.f32Add();
    body.f32Store(offset);
  }

  /** After all loops: gives each entry, by its address, the sum of its places. */
  distribute(sum: number, address: number): void {
    const body = this.#body;
    const entry = body.local(I32);
    this.#eachPlace(1, () => {
      body.get(this.#at);
      body.i32Load(this.#line(sum, 'offsets'));
      body.i32(1);
      body.i32Shl();
      body.get(address);
      body.i32Add();
      body.tee(entry);
      body.get(entry);
      body.f64Load();
      body.get(this.#at);
      body.f32Load(this.#line(sum, 'sums'));
      body.f64Promote();
      body.f64Add();
      body.f64Store();
    });
  }

  /** A loop over the places of a tile. */
  #eachPlace(step: number, body: () => void): void {
    const out = this.#body;
    out.get(ARGUMENT.lines);
    out.set(this.#at);
    out.i32(0);
    out.set(this.#place);
    out.loop(() => {
      body();
      out.get(this.#at);
      out.i32(4 * step);
      out.i32Add();
      out.set(this.#at);
      out.get(this.#place);
      out.i32(step);
      out.i32Add();
      out.tee(this.#place);
      out.get(ARGUMENT.count);
      out.i32(this.#panel - 1);
      out.i32Add();
      out.i32LessUnsigned();
    });
  }

  get #isUsed(): boolean {
    return this.#plan.lines.length + this.#plan.sums.length > 0;
  }

  #line(sum: number, what: 'offsets' | 'sums'): number {
    return (this.#plan.lines.length + 2 * sum + (what === 'sums' ? 1 : 0)) * LINE_BYTES;
  }
}
