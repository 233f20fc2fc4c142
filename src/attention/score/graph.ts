import { BINARY, entryOf, type ScorePair, UNARY } from './evaluate.ts';
import type { BinaryKind, Expression, UnaryKind } from './expression.ts';
import type { ScoreParameter } from './modifier.ts';

/** One value of an expression; operands are numbers of earlier nodes. */
export interface Node {
  readonly kind: Expression['kind'];
  readonly operands: readonly number[];
  /** Of a constant. */
  readonly value?: number;
  /** Of a look-up. */
  readonly parameter?: string;
}

/** An expression in which equal parts are one node. Nodes only come after their operands. */
export class ExpressionGraph {
  readonly nodes: Node[] = [];
  readonly #known = new Map<string, number>();

  /** Adds an expression; returns its node. */
  add(expression: Expression): number {
    switch (expression.kind) {
      case 'constant':
        return this.constant(expression.value);
      case 'lookup':
        return this.#intern({
          kind: 'lookup',
          operands: expression.indices.map((index) => this.add(index)),
          parameter: expression.parameter,
        });
      case 'select':
        return this.select(this.add(expression.condition), this.add(expression.ifTrue), this.add(expression.ifFalse));
      default:
        if ('of' in expression) return this.unary(expression.kind, this.add(expression.of));
        if ('left' in expression)
          return this.binary(expression.kind, this.add(expression.left), this.add(expression.right));
        return this.#intern({ kind: expression.kind, operands: [] });
    }
  }

  constant(value: number): number {
    return this.#intern({ kind: 'constant', operands: [], value: Math.fround(value) });
  }

  unary(kind: UnaryKind, of: number): number {
    const { value, kind: inner, operands } = this.nodes[of];
    if (value !== undefined) return this.#folded(UNARY[kind](value)) ?? this.#intern({ kind, operands: [of] });
    if (kind === 'neg' && inner === 'neg') return operands[0];
    return this.#intern({ kind, operands: [of] });
  }

  binary(kind: BinaryKind, left: number, right: number): number {
    const x = this.nodes[left].value;
    const y = this.nodes[right].value;
    if (x !== undefined && y !== undefined) {
      const folded = this.#folded(BINARY[kind](x, y));
      if (folded !== undefined) return folded;
    }
    if ((kind === 'mul' || kind === 'div') && y === 1) return left;
    if (kind === 'mul' && x === 1) return right;
    if ((kind === 'add' || kind === 'sub') && y === 0) return left;
    if (kind === 'add' && x === 0) return right;
    return this.#intern({ kind, operands: [left, right] });
  }

  select(condition: number, ifTrue: number, ifFalse: number): number {
    const { value } = this.nodes[condition];
    if (value !== undefined) return value !== 0 ? ifTrue : ifFalse;
    return ifTrue === ifFalse ? ifTrue : this.#intern({ kind: 'select', operands: [condition, ifTrue, ifFalse] });
  }

  /** The values of all nodes for one pair, in float64. */
  evaluate(parameters: Readonly<Record<string, ScoreParameter>>, pair: ScorePair): Float64Array {
    const values = new Float64Array(this.nodes.length);
    for (let i = 0; i < this.nodes.length; i++) {
      const { kind, operands, value, parameter } = this.nodes[i];
      const [x, y, z] = operands;
      if (value !== undefined) values[i] = value;
      else if (parameter !== undefined) {
        const { data, shape } = parameters[parameter];
        values[i] =
          data[
            entryOf(
              shape,
              operands.map((operand) => values[operand]),
            )
          ];
      } else if (kind === 'select') values[i] = values[x] !== 0 ? values[y] : values[z];
      else if (y !== undefined) values[i] = BINARY[kind as BinaryKind](values[x], values[y]);
      else if (x !== undefined) values[i] = UNARY[kind as UnaryKind](values[x]);
      else values[i] = pair[kind as keyof ScorePair];
    }
    return values;
  }

  #folded(value: number): number | undefined {
    return Number.isFinite(Math.fround(value)) ? this.constant(value) : undefined;
  }

  #intern(node: Node): number {
    const key = JSON.stringify([
      node.kind,
      node.operands,
      Object.is(node.value, -0) ? '-0' : node.value,
      node.parameter,
    ]);
    let index = this.#known.get(key);
    if (index === undefined) {
      index = this.nodes.push(node) - 1;
      this.#known.set(key, index);
    }
    return index;
  }
}
