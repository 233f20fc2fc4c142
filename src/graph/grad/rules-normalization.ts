/** Gradient rules of reductions, softmax and norms. g is the gradient of the output y. */

import type { GraphBuilder } from '../builder.ts';
import { equal, exp } from '../elementwise.ts';
import { expandLike } from '../indexing.ts';
import type { Dimension, Value } from '../ir.ts';
import { add, cast, div, mul, reshape, scaleBy, sub } from '../operators.ts';
import { lastMean, sumOver, sumTo } from '../reductions.ts';
import { float, input, integer, output, type Rule, type Site, unsupported, upstream } from './rule.ts';

/** y (g - sum(g y)), along the axis. */
function softmaxRule(site: Site): Value[] {
  const { graph } = site;
  const [y, g] = [output(site), upstream(site)];
  const share = sumOver(graph, mul(graph, g, y), [integer(site.node, 'axis', -1)], true);
  return [mul(graph, y, sub(graph, g, share))];
}

/** g - exp(y) sum(g), along the axis. */
function logSoftmaxRule(site: Site): Value[] {
  const { graph } = site;
  const [y, g] = [output(site), upstream(site)];
  const total = sumOver(graph, g, [integer(site.node, 'axis', -1)], true);
  return [sub(graph, g, mul(graph, exp(graph, y), total))];
}

/** The axes of a reduction: an input since opset 13 or 18, an attribute before; all axes where absent. */
function axesOf(site: Site): number[] {
  const x = input(site, 0);
  const attribute = site.node.attributes.axes;
  const axes =
    attribute?.type === 'ints'
      ? attribute.value
      : site.inputs[1] === undefined
        ? x.shape.map((_, i) => i)
        : site.integers(1);
  return axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis));
}

/** A value of the reduced shape with the reduced axes back, of size 1. */
function withAxes(site: Site, value: Value, axes: readonly number[]): Value {
  const shape = input(site, 0).shape.map<Dimension>((d, i) => (axes.includes(i) ? 1 : d));
  return value.shape.length === shape.length ? value : reshape(site.graph, value, shape);
}

const reduceSumRule: Rule = (site) => [
  expandLike(site.graph, withAxes(site, upstream(site), axesOf(site)), input(site, 0)),
];

function reduceMeanRule(site: Site): Value[] {
  const { graph } = site;
  const x = input(site, 0);
  const axes = axesOf(site);
  const count = axes.reduce((product, axis) => {
    const size = x.shape[axis];
    return typeof size === 'number' ? product * size : unsupported(site, `axis ${axis} must have a known size`);
  }, 1);
  return [expandLike(graph, scaleBy(graph, withAxes(site, upstream(site), axes), 1 / count), x)];
}

/** Shared by the elements that are the largest (or smallest). */
function reduceExtremumRule(site: Site): Value[] {
  const { graph } = site;
  const x = input(site, 0);
  const axes = axesOf(site);
  const chosen = cast(graph, equal(graph, x, withAxes(site, output(site), axes)), 'float32');
  const share = div(graph, withAxes(site, upstream(site), axes), sumOver(graph, chosen, axes, true));
  return [mul(graph, chosen, share)];
}

/** x / deviation or (x - mean) / deviation, and 1 / deviation, made by the norm itself with a weight of ones. */
function normalized(site: Site, x: Value, operator: string, epsilon: number): { unit: Value; inverse: Value } {
  const { graph } = site;
  const width = x.shape.at(-1);
  if (typeof width !== 'number') return unsupported(site, 'the last axis must have a known size');
  const column = {
    type: 'float32',
    shape: x.shape.map<Dimension>((d, i) => (i === x.shape.length - 1 ? 1 : d)),
  } as const;
  const isCentered = operator === 'LayerNormalization';
  const ones = graph.constant('float32', new Float32Array(width).fill(1));
  const results = graph.op({
    operator,
    inputs: [x, ones],
    attributes: { axis: { type: 'int', value: -1 }, epsilon: { type: 'float', value: epsilon } },
    outputs: [{ type: 'float32', shape: x.shape }, ...(isCentered ? [column] : []), column],
  });
  const [unit, inverse] = [results[0], results.at(-1)];
  if (unit === undefined || inverse === undefined) return unsupported(site, 'it has no outputs');
  return { unit, inverse };
}

/**
 * y = u w (+ b) with u = (x - mean) r, r = 1 / deviation: dx = r (d - mean(d) - u mean(d u)) for d = g w (Ba et al., "Layer Normalization",
 * differentiated); without the mean: dx = r (d - u mean(d u)). dw = sum(g u), db = sum(g).
 */
function normGradients(
  site: Site,
  x: Value,
  weight: Value | undefined,
  g: Value,
  isCentered: boolean,
): { dx: () => Value; dw: () => Value } {
  const { graph, node } = site;
  const axis = integer(node, 'axis', -1);
  if (axis !== -1 && axis !== x.shape.length - 1) unsupported(site, 'axis must be the last');
  const operator = isCentered ? 'LayerNormalization' : 'SimplifiedLayerNormalization';
  const { unit, inverse } = normalized(site, x, operator, float(node, 'epsilon', node.domain === '' ? 1e-5 : 1e-12));
  const dx = (): Value => {
    const d = weight === undefined ? g : mul(graph, g, weight);
    const along = mul(graph, unit, lastMean(graph, mul(graph, d, unit)));
    const across = isCentered ? sub(graph, d, lastMean(graph, d)) : d;
    return mul(graph, inverse, sub(graph, across, along));
  };
  return { dx, dw: () => sumTo(graph, mul(graph, g, unit), weight?.shape ?? []) };
}

function normRule(isCentered: boolean): Rule {
  return (site) => {
    const { graph, inputs, wanted } = site;
    const [x, weight, bias, g] = [input(site, 0), input(site, 1), inputs[2], upstream(site)];
    const { dx, dw } = normGradients(site, x, weight, g, isCentered);
    return [
      wanted[0] ? dx() : undefined,
      wanted[1] ? dw() : undefined,
      wanted[2] && bias !== undefined ? sumTo(graph, g, bias.shape) : undefined,
    ];
  };
}

/** com.microsoft.Skip(Simplified)LayerNormalization: a norm of x + skip (+ bias), which is output 3. */
function skipNormRule(isCentered: boolean): Rule {
  return (site) => {
    const { graph, inputs, outputs, gradients, wanted } = site;
    const [x, skip, weight] = [input(site, 0), input(site, 1), input(site, 2)];
    if (skip.shape.join() !== x.shape.join()) unsupported(site, 'x and skip must have one shape');
    const beta = isCentered ? inputs[3] : undefined;
    const bias = inputs[isCentered ? 4 : 3];
    const plain = (): Value => add(graph, x, skip);
    const sum = outputs[3] ?? (bias === undefined ? plain() : add(graph, plain(), bias));
    const [g, onSum] = [gradients[0], gradients[3]];
    const norm = g === undefined ? undefined : normGradients(site, sum, weight, g, isCentered);
    const total = joined(graph, norm?.dx(), onSum);
    const ofBias = (value: Value | undefined, from: Value | undefined): Value | undefined =>
      value === undefined || from === undefined ? undefined : sumTo(graph, from, value.shape);
    const ofBeta = wanted[3] && isCentered ? ofBias(beta, g) : undefined;
    const last = wanted[isCentered ? 4 : 3] ? ofBias(bias, total) : undefined;
    return [total, total, wanted[2] ? norm?.dw() : undefined, ...(isCentered ? [ofBeta, last] : [last])];
  };
}

function joined(graph: GraphBuilder, a: Value | undefined, b: Value | undefined): Value | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return add(graph, a, b);
}

export const normalizationRules: Readonly<Record<string, Rule>> = {
  Softmax: softmaxRule,
  LogSoftmax: logSoftmaxRule,
  ReduceSum: reduceSumRule,
  ReduceMean: reduceMeanRule,
  ReduceMax: reduceExtremumRule,
  ReduceMin: reduceExtremumRule,
  LayerNormalization: normRule(true),
  SimplifiedLayerNormalization: normRule(false),
  RMSNormalization: normRule(false),
  'com.microsoft.SkipLayerNormalization': skipNormRule(true),
  'com.microsoft.SkipSimplifiedLayerNormalization': skipNormRule(false),
};
