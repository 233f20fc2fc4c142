import type { ExpressionGraph } from '../../score/graph.ts';
import { type Body, F64, I32, SIMD, V128 } from './assembler.ts';
import type { Lines } from './lines.ts';
import { KEYS, LANES, type Plan } from './plan.ts';
import { ARGUMENT, type ParameterPlace, type Values } from './values.ts';

interface Sum {
  readonly node: number;
  readonly adjoint: number;
  /** Local: the address of the parameter's gradient, float64. */
  readonly address: number;
  /** Locals: the sums of the two vectors over keys, where the entries stay the same from key to key. */
  readonly totals: readonly number[];
}

/** A sum whose entries vary with k - q alone. */
interface DiagonalSum {
  readonly adjoint: number;
  readonly address: number;
  /** Locals: the sums of eight neighbouring diagonals, which move on by one place with each key. */
  readonly totals: readonly [number, number];
}

/**
 * Adds the gradients of parameters to their entries, in float64. Where neighbouring pairs have the same entry, they are summed
 * first: over a whole tile (slopes of heads), over its keys, over the lanes, or along the diagonals (relative biases).
 */
export class GradientSums {
  readonly #body: Body;
  readonly #values: Values;
  readonly #lines: Lines;
  readonly #sums: readonly Sum[];
  readonly #diagonals: readonly DiagonalSum[];
  readonly #product: number;
  readonly #addresses: number;
  readonly #entry: number;
  readonly #sum: number;

  constructor(
    body: Body,
    graph: ExpressionGraph,
    values: Values,
    lines: Lines,
    plan: Plan,
    places: ReadonlyMap<string, ParameterPlace>,
    lookups: readonly { readonly node: number; readonly adjoint: number }[],
  ) {
    this.#body = body;
    this.#values = values;
    this.#lines = lines;
    this.#product = body.local(V128);
    this.#addresses = body.local(V128);
    this.#entry = body.local(I32);
    this.#sum = body.local(F64);
    const addressOf = (node: number) => {
      const address = body.local(I32);
      body.get(ARGUMENT.gradients);
      body.i32Load(4 * (places.get(graph.nodes[node].parameter ?? '')?.index ?? 0));
      body.set(address);
      return address;
    };
    const others = lookups.filter(({ node }) => !plan.sums.includes(node));
    this.#diagonals = plan.sums.map((node) => {
      const adjoint = lookups.find((lookup) => lookup.node === node)?.adjoint ?? node;
      return { adjoint, address: addressOf(node), totals: [body.local(V128), body.local(V128)] };
    });
    this.#sums = others.map(({ node, adjoint }) => {
      const address = addressOf(node);
      const kept = (values.level(node) & KEYS) === 0;
      return { node, adjoint, address, totals: kept ? [body.local(V128), body.local(V128)] : [] };
    });
  }

  /** Before the loop over keys: sums that belong to these queries start again. */
  beforeKeys(): void {
    for (const total of this.#diagonals.flatMap(({ totals }) => totals)) {
      this.#body.floats(0, 0, 0, 0);
      this.#body.set(total);
    }
    for (const { node, totals } of this.#sums) {
      if (this.#values.level(node) !== LANES) continue;
      for (const total of totals) {
        this.#body.floats(0, 0, 0, 0);
        this.#body.set(total);
      }
    }
  }

  /** For one key. `pushProduct` pushes the gradient times a node. */
  add(pushProduct: (node: number, side: number) => void): void {
    const body = this.#body;
    for (const [i, { adjoint, totals }] of this.#diagonals.entries()) {
      const [low, high] = totals;
      for (const [side, total] of totals.entries()) {
        body.get(total);
        pushProduct(adjoint, side);
        body.simd(SIMD.add);
        body.set(total);
      }
      // No later key meets the last diagonal again; the others are one place further up with the next key.
      this.#lines.addLast(i, high);
      body.get(low);
      body.get(high);
      body.shuffle(3, 4, 5, 6);
      body.set(high);
      body.floats(0, 0, 0, 0);
      body.get(low);
      body.shuffle(3, 4, 5, 6);
      body.set(low);
    }
    for (const { node, adjoint, address, totals } of this.#sums) {
      if (totals.length > 0) {
        for (const [side, total] of totals.entries()) {
          body.get(total);
          pushProduct(adjoint, side);
          body.simd(SIMD.add);
          body.set(total);
        }
      } else if (this.#values.level(node) === KEYS) {
        pushProduct(adjoint, 0);
        pushProduct(adjoint, 1);
        body.simd(SIMD.add);
        body.set(this.#product);
        this.#addAll(node, address);
      } else {
        for (const side of [0, 1]) {
          pushProduct(adjoint, side);
          body.set(this.#product);
          this.#addLanes(node, side, address);
        }
      }
    }
  }

  /** After the loop over keys. */
  afterKeys(): void {
    for (const [i, { totals }] of this.#diagonals.entries()) {
      const [low, high] = totals;
      this.#body.get(low);
      this.#body.get(high);
      this.#body.shuffle(1, 2, 3, 4);
      this.#body.set(low);
      this.#body.get(high);
      this.#body.floats(0, 0, 0, 0);
      this.#body.shuffle(1, 2, 3, 4);
      this.#body.set(high);
      this.#lines.addRow(i, totals);
    }
    for (const { node, address, totals } of this.#sums) {
      if (this.#values.level(node) !== LANES) continue;
      for (const [side, total] of totals.entries()) {
        this.#body.get(total);
        this.#body.set(this.#product);
        this.#addLanes(node, side, address);
      }
    }
  }

  /** After all loops. */
  atEnd(): void {
    for (const [i, { address }] of this.#diagonals.entries()) this.#lines.distribute(i, address);
    for (const { node, address, totals } of this.#sums) {
      if (this.#values.level(node) !== 0) continue;
      for (const total of totals) this.#body.get(total);
      this.#body.simd(SIMD.add);
      this.#body.set(this.#product);
      this.#addAll(node, address);
    }
  }

  /** Adds the four products to the entry of the first. */
  #addAll(node: number, address: number): void {
    this.#values.pushOffsets(node, 0);
    this.#body.simd(SIMD.i32Lane, 0);
    this.#body.i32(1);
    this.#body.i32Shl();
    this.#body.get(address);
    this.#body.i32Add();
    this.#body.set(this.#entry);
    this.#addSum();
  }

  /** Adds the sum of the four products at the address `entry`. */
  #addSum(): void {
    const body = this.#body;
    body.get(this.#product);
    body.simd(SIMD.promoteLow);
    body.get(this.#product);
    body.get(this.#product);
    body.shuffle(2, 3, 2, 3);
    body.simd(SIMD.promoteLow);
    body.simd(SIMD.f64Add);
    const pair = this.#product;
    body.tee(pair);
    body.simd(SIMD.f64Lane, 0);
    body.get(pair);
    body.simd(SIMD.f64Lane, 1);
    body.f64Add();
    body.set(this.#sum);
    body.get(this.#entry);
    body.get(this.#entry);
    body.f64Load();
    body.get(this.#sum);
    body.f64Add();
    body.f64Store();
  }

  /** Adds each product to its own entry; all at once where the entries are the same or lie side by side. */
  #addLanes(node: number, side: number, address: number): void {
    const body = this.#body;
    this.#values.pushOffsets(node, side);
    body.i32(1);
    body.simd(SIMD.i32Shl);
    body.get(address);
    body.simd(SIMD.i32Splat);
    body.simd(SIMD.i32Add);
    body.set(this.#addresses);
    const step = this.#values.entryStep(node);
    if (step !== undefined && Math.abs(step) !== 1) {
      this.#addEach();
      return;
    }
    this.#values.pushSteps(this.#addresses, step === undefined ? 0 : 8 * step);
    body.branch(
      undefined,
      () => {
        body.get(this.#addresses);
        body.simd(SIMD.i32Lane, step === -1 ? 3 : 0);
        body.set(this.#entry);
        if (step === undefined) this.#addSum();
        else this.#addRow(step === -1);
      },
      () => this.#addEach(),
    );
  }

  /** Adds the products, reversed or not, to four entries from `entry` on. */
  #addRow(reversed: boolean): void {
    const body = this.#body;
    for (const half of [0, 1]) {
      body.get(this.#entry);
      body.get(this.#entry);
      body.load(16 * half);
      body.get(this.#product);
      body.get(this.#product);
      if (reversed) body.shuffle(3 - 2 * half, 2 - 2 * half, 0, 0);
      else body.shuffle(2 * half, 2 * half + 1, 0, 0);
      body.simd(SIMD.promoteLow);
      body.simd(SIMD.f64Add);
      body.store(16 * half);
    }
  }

  #addEach(): void {
    const body = this.#body;
    for (const lane of [0, 1, 2, 3]) {
      body.get(this.#addresses);
      body.simd(SIMD.i32Lane, lane);
      body.tee(this.#entry);
      body.get(this.#entry);
      body.f64Load();
      body.get(this.#product);
      body.simd(SIMD.f32Lane, lane);
      body.f64Promote();
      body.f64Add();
      body.f64Store();
    }
  }
}
