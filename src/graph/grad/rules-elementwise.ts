/** Gradient rules of operators on each element. g is the gradient of the output y. */

import type { GraphBuilder } from '../builder.ts';
import { cos, equal, erf, exp, greater, neg, sign, sin, where } from '../elementwise.ts';
import type { Node, Value } from '../ir.ts';
import { add, cast, div, mul, scaleBy, sigmoid, sub, tanh } from '../operators.ts';
import { sumTo } from '../reductions.ts';
import { float, input, output, type Rule, type Site, scalar, text, unsupported, upstream } from './rule.ts';

/** The derivative of y = f(x) times g. */
type UnaryRule = (graph: GraphBuilder, at: { x: Value; y: Value; g: Value; node: Node }) => Value;

function unary(rule: UnaryRule): Rule {
  return (site) => [rule(site.graph, { x: input(site, 0), y: output(site), g: upstream(site), node: site.node })];
}

/** A rule of two inputs that broadcast: the gradients before they are summed over what was broadcast. */
function binary(
  a: ((graph: GraphBuilder, at: { a: Value; b: Value; y: Value; g: Value }) => Value) | undefined,
  b: ((graph: GraphBuilder, at: { a: Value; b: Value; y: Value; g: Value }) => Value) | undefined,
): Rule {
  return (site) => {
    const at = { a: input(site, 0), b: input(site, 1), y: output(site), g: upstream(site) };
    return [a, b].map((rule, i) => {
      if (!site.wanted[i]) return undefined;
      if (rule === undefined) return unsupported(site, `input ${i} must be a constant`);
      return sumTo(site.graph, rule(site.graph, at), i === 0 ? at.a.shape : at.b.shape);
    });
  };
}

/** 1 where the condition holds, else 0. */
function indicator(graph: GraphBuilder, condition: Value): Value {
  return cast(graph, condition, 'float32');
}

/** Phi(x) + x phi(x), with the standard normal distribution and its density (Hendrycks and Gimpel, "Gaussian Error Linear Units"). */
function geluDerivative(graph: GraphBuilder, x: Value): Value {
  const distribution = scaleBy(graph, add(graph, erf(graph, scaleBy(graph, x, Math.SQRT1_2)), scalar(graph, 1)), 0.5);
  const density = scaleBy(graph, exp(graph, scaleBy(graph, mul(graph, x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return add(graph, distribution, mul(graph, x, density));
}

/** Of 0.5 x (1 + tanh(u)), u = c (x + 0.044715 x^3), c = sqrt(2 / pi): 0.5 (1 + t) + 0.5 x (1 - t^2) c (1 + 0.134145 x^2). */
function tanhGeluDerivative(graph: GraphBuilder, x: Value): Value {
  const c = Math.sqrt(2 / Math.PI);
  const square = mul(graph, x, x);
  const inner = mul(graph, x, add(graph, scaleBy(graph, square, 0.044715 * c), scalar(graph, c)));
  const t = tanh(graph, inner);
  const slope = add(graph, scaleBy(graph, square, 3 * 0.044715 * c), scalar(graph, c));
  const rest = mul(graph, mul(graph, x, slope), sub(graph, scalar(graph, 1), mul(graph, t, t)));
  return scaleBy(graph, add(graph, add(graph, t, rest), scalar(graph, 1)), 0.5);
}

/** Of x s, s = sigmoid(alpha x): s (1 + alpha x (1 - s)). */
function swishDerivative(graph: GraphBuilder, x: Value, alpha: number): Value {
  const s = sigmoid(graph, alpha === 1 ? x : scaleBy(graph, x, alpha));
  const inner = mul(graph, scaleBy(graph, x, alpha), sub(graph, scalar(graph, 1), s));
  return mul(graph, s, add(graph, inner, scalar(graph, 1)));
}

/** The share of an input where it was chosen; the inputs of a tie share alike. */
function extremum(): Rule {
  const share = (graph: GraphBuilder, mine: Value, other: Value, y: Value, g: Value) => {
    const chosen = indicator(graph, equal(graph, mine, y));
    const both = add(graph, chosen, indicator(graph, equal(graph, other, y)));
    return div(graph, mul(graph, g, chosen), both);
  };
  return binary(
    (graph, { a, b, y, g }) => share(graph, a, b, y, g),
    (graph, { a, b, y, g }) => share(graph, b, a, y, g),
  );
}

function whereRule(site: Site): (Value | undefined)[] {
  const { graph, wanted } = site;
  const [condition, a, b, g] = [input(site, 0), input(site, 1), input(site, 2), upstream(site)];
  const zero = scalar(graph, 0);
  return [
    undefined,
    wanted[1] ? sumTo(graph, where(graph, condition, g, zero), a.shape) : undefined,
    wanted[2] ? sumTo(graph, where(graph, condition, zero, g), b.shape) : undefined,
  ];
}

/** x^e for a constant e: e x^(e - 1). */
function powRule(site: Site): (Value | undefined)[] {
  const { graph, wanted } = site;
  if (wanted[1]) unsupported(site, 'the exponent must be a constant');
  const [x, exponent, g] = [input(site, 0), input(site, 1), upstream(site)];
  const lower = graph.op1({ operator: 'Pow', inputs: [x, sub(graph, exponent, scalar(graph, 1))] }, 'float32', g.shape);
  return [sumTo(graph, mul(graph, g, mul(graph, exponent, lower)), x.shape), undefined];
}

export const elementwiseRules: Readonly<Record<string, Rule>> = {
  Identity: (site) => [upstream(site)],
  Cast: (site) => [input(site, 0).type === 'float32' && output(site).type === 'float32' ? upstream(site) : undefined],
  Add: binary(
    (_, { g }) => g,
    (_, { g }) => g,
  ),
  Sub: binary(
    (_, { g }) => g,
    (graph, { g }) => neg(graph, g),
  ),
  Mul: binary(
    (graph, { b, g }) => mul(graph, g, b),
    (graph, { a, g }) => mul(graph, g, a),
  ),
  Div: binary(
    (graph, { b, g }) => div(graph, g, b),
    (graph, { b, y, g }) => neg(graph, div(graph, mul(graph, g, y), b)),
  ),
  Pow: powRule,
  Max: extremum(),
  Min: extremum(),
  Where: whereRule,
  Neg: unary((graph, { g }) => neg(graph, g)),
  Exp: unary((graph, { y, g }) => mul(graph, g, y)),
  Log: unary((graph, { x, g }) => div(graph, g, x)),
  Sqrt: unary((graph, { y, g }) => div(graph, scaleBy(graph, g, 0.5), y)),
  Reciprocal: unary((graph, { y, g }) => neg(graph, mul(graph, g, mul(graph, y, y)))),
  Abs: unary((graph, { x, g }) => mul(graph, g, sign(graph, x))),
  Sin: unary((graph, { x, g }) => mul(graph, g, cos(graph, x))),
  Cos: unary((graph, { x, g }) => neg(graph, mul(graph, g, sin(graph, x)))),
  Erf: unary((graph, { x, g }) =>
    mul(graph, g, scaleBy(graph, exp(graph, neg(graph, mul(graph, x, x))), 2 / Math.sqrt(Math.PI))),
  ),
  Sigmoid: unary((graph, { y, g }) => mul(graph, mul(graph, g, y), sub(graph, scalar(graph, 1), y))),
  Tanh: unary((graph, { y, g }) => mul(graph, g, sub(graph, scalar(graph, 1), mul(graph, y, y)))),
  Relu: unary((graph, { y, g }) => mul(graph, g, indicator(graph, greater(graph, y, scalar(graph, 0))))),
  Softplus: unary((graph, { x, g }) => mul(graph, g, sigmoid(graph, x))),
  Gelu: unary((graph, { x, g, node }) =>
    mul(
      graph,
      g,
      text(node, 'approximate', 'none') === 'tanh' ? tanhGeluDerivative(graph, x) : geluDerivative(graph, x),
    ),
  ),
  'com.microsoft.Gelu': unary((graph, { x, g }) => mul(graph, g, geluDerivative(graph, x))),
  'com.microsoft.QuickGelu': unary((graph, { x, g, node }) =>
    mul(graph, g, swishDerivative(graph, x, float(node, 'alpha', 1.702))),
  ),
  Swish: unary((graph, { x, g, node }) => mul(graph, g, swishDerivative(graph, x, float(node, 'alpha', 1)))),
};
