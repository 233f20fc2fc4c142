import type { GraphBuilder } from './builder.ts';
import { broadcast, mismatch, wantType } from './check.ts';
import type { Value } from './ir.ts';

/** Standard operators on each element that gradients need beside those of operators.ts. */

function unary(operator: string, graph: GraphBuilder, x: Value, name?: string): Value {
  wantType(operator, 'x', x, 'float32');
  return graph.op1({ operator, inputs: [x], name }, 'float32', x.shape);
}

export function neg(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Neg', graph, x, name);
}

export function exp(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Exp', graph, x, name);
}

/** Natural logarithm. */
export function log(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Log', graph, x, name);
}

export function sqrt(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Sqrt', graph, x, name);
}

export function reciprocal(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Reciprocal', graph, x, name);
}

/** The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
export function erf(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Erf', graph, x, name);
}

export function sin(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Sin', graph, x, name);
}

export function cos(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Cos', graph, x, name);
}

/** -1, 0 or 1. */
export function sign(graph: GraphBuilder, x: Value, name?: string): Value {
  return unary('Sign', graph, x, name);
}

/** x to the power of a number. */
export function pow(graph: GraphBuilder, x: Value, exponent: number, name?: string): Value {
  wantType('Pow', 'x', x, 'float32');
  const inputs = [x, graph.constant('float32', Float32Array.of(exponent), [])];
  return graph.op1({ operator: 'Pow', inputs, name }, 'float32', x.shape);
}

/** a where the condition (bool) holds, else b; all three broadcast. */
export function where(graph: GraphBuilder, condition: Value, a: Value, b: Value, name?: string): Value {
  wantType('Where', 'condition', condition, 'bool');
  if (a.type !== b.type) mismatch('Where', name, 'types differ', { a, b });
  const inner = broadcast(a.shape, b.shape);
  const shape = inner === undefined ? undefined : broadcast(condition.shape, inner);
  if (shape === undefined) return mismatch('Where', name, 'shapes do not broadcast', { condition, a, b });
  return graph.op1({ operator: 'Where', inputs: [condition, a, b], name }, a.type, shape);
}

function comparison(operator: string, graph: GraphBuilder, a: Value, b: Value, name?: string): Value {
  const shape = broadcast(a.shape, b.shape);
  if (shape === undefined) return mismatch(operator, name, 'shapes do not broadcast', { a, b });
  if (a.type !== b.type) mismatch(operator, name, 'types differ', { a, b });
  return graph.op1({ operator, inputs: [a, b], name }, 'bool', shape);
}

/** a > b, as bool. */
export function greater(graph: GraphBuilder, a: Value, b: Value, name?: string): Value {
  return comparison('Greater', graph, a, b, name);
}

/** a == b, as bool. */
export function equal(graph: GraphBuilder, a: Value, b: Value, name?: string): Value {
  return comparison('Equal', graph, a, b, name);
}
