import type { Node } from '../ir.ts';
import { matrixOperators } from './matrix-operators.ts';
import { normOperators } from './norm-operators.ts';
import { need, numberOf, type ReferenceOperator } from './operator.ts';
import { shapeOperators } from './shape-operators.ts';
import { map } from './tensor.ts';

function unary(f: (x: number, node: Node) => number): ReferenceOperator {
  return (inputs, node) => [map((x) => f(x, node), need(inputs, 0))];
}

function binary(f: (a: number, b: number) => number): ReferenceOperator {
  return (inputs) => [map(f, need(inputs, 0), need(inputs, 1))];
}

/**
 * The error function: its series (Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.6) where |x| < 3, and the continued
 * fraction of its complement (7.1.14) beyond. Exact to about 1e-14.
 */
export function erf(x: number): number {
  if (Math.abs(x) < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return ((2 / Math.sqrt(Math.PI)) * sum) / Math.exp(x * x);
  }
  let fraction = 0;
  for (let n = 80; n >= 1; n--) fraction = n / 2 / (Math.abs(x) + fraction);
  const complement = Math.exp(-x * x) / (Math.sqrt(Math.PI) * (Math.abs(x) + fraction));
  return Math.sign(x) * (1 - complement);
}

function gelu(x: number, node: Node): number {
  const { approximate } = node.attributes;
  if (approximate?.type === 'string' && approximate.value === 'tanh') {
    return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  }
  return 0.5 * x * (1 + erf(x * Math.SQRT1_2));
}

const swish = (fallback: number) => (x: number, node: Node) =>
  x / (1 + Math.exp(-numberOf(node, 'alpha', fallback) * x));

const elementOperators: Readonly<Record<string, ReferenceOperator>> = {
  Identity: unary((x) => x),
  Cast: unary((x, node) =>
    numberOf(node, 'to', 1) === 9 ? Number(x !== 0) : numberOf(node, 'to', 1) === 1 ? x : Math.trunc(x),
  ),
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b),
  Pow: binary((a, b) => a ** b),
  Max: binary(Math.max),
  Min: binary(Math.min),
  Greater: binary((a, b) => Number(a > b)),
  Equal: binary((a, b) => Number(a === b)),
  Where: (inputs) => [map((c, a, b) => (c !== 0 ? a : b), need(inputs, 0), need(inputs, 1), need(inputs, 2))],
  Neg: unary((x) => -x),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Abs: unary(Math.abs),
  Sign: unary(Math.sign),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Erf: unary(erf),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Tanh: unary(Math.tanh),
  Relu: unary((x) => Math.max(0, x)),
  Softplus: unary((x) => Math.log1p(Math.exp(x))),
  Gelu: unary(gelu),
  'com.microsoft.Gelu': unary(gelu),
  'com.microsoft.QuickGelu': unary(swish(1.702)),
  Swish: unary(swish(1)),
};

/** By operator; those of other domains with the domain before the name. */
export const referenceOperators: Readonly<Record<string, ReferenceOperator>> = {
  ...elementOperators,
  ...shapeOperators,
  ...matrixOperators,
  ...normOperators,
};
