/** Gradient rules of operators that move, pick and repeat elements. g is the gradient of the output. */

import type { GraphBuilder } from '../builder.ts';
import { expandLike, padZeros, scatterAdd, zeros, zerosLike } from '../indexing.ts';
import type { Dimension, Value } from '../ir.ts';
import { concat, reshape, split, transpose } from '../operators.ts';
import { sumTo } from '../reductions.ts';
import { input, integer, output, type Rule, type Site, unsupported, upstream } from './rule.ts';

/** The same elements in the shape of the input. */
const reshapeBack: Rule = (site) => [reshape(site.graph, upstream(site), input(site, 0).shape)];

function transposeRule(site: Site): Value[] {
  const { graph, node } = site;
  const axes = input(site, 0).shape.length;
  const perm = node.attributes.perm;
  const order = perm?.type === 'ints' ? perm.value : Array.from({ length: axes }, (_, i) => axes - 1 - i);
  const inverse = order.map((_, axis) => order.indexOf(axis));
  return [transpose(graph, upstream(site), inverse)];
}

function concatRule(site: Site): Value[] {
  const { graph, node } = site;
  const axis = positive(integer(node, 'axis', 0), output(site));
  const sizes = site.inputs.map((_, i) => fixed(site, input(site, i), axis));
  return split(graph, upstream(site), sizes, axis);
}

function splitRule(site: Site): (Value | undefined)[] {
  const { graph, node, gradients } = site;
  const axis = positive(integer(node, 'axis', 0), input(site, 0));
  const parts = site.outputs.map((_, i) => gradients[i] ?? zerosLike(graph, output(site, i)));
  return [concat(graph, parts, axis)];
}

/** Zeros around what was cut out. The last axis first, so that the first one is padded where it is small. */
function sliceRule(site: Site): Value[] {
  const { graph, inputs } = site;
  const x = input(site, 0);
  const starts = site.integers(1);
  const axes = inputs[3] === undefined ? starts.map((_, i) => i) : site.integers(3);
  if (inputs[4] !== undefined && site.integers(4).some((step) => step !== 1)) unsupported(site, 'steps must be 1');
  let gradient = upstream(site);
  for (const [i, start] of starts.entries()) {
    const axis = positive(axes[i] ?? 0, x);
    const size = fixed(site, x, axis);
    const before = Math.min(size, start < 0 ? Math.max(0, start + size) : start);
    gradient = padZeros(graph, gradient, axis, before, size - before - fixed(site, gradient, axis));
  }
  return [gradient];
}

/**
 * Rows of a table [V, ...]: each row's gradients are added up where it was read. Into zeros of the table's size, so a model with
 * a large vocabulary looks its tokens up outside the graph and adds up the gradients of the rows itself.
 */
function gatherRule(site: Site): (Value | undefined)[] {
  const { graph, node } = site;
  const [table, indices, g] = [input(site, 0), input(site, 1), upstream(site)];
  if (positive(integer(node, 'axis', 0), table) !== 0) unsupported(site, 'axis must be 0');
  if (table.shape.length !== 2 || indices.shape.length !== 1) unsupported(site, 'it must read rows of a matrix');
  const shape = table.shape.filter((d) => typeof d === 'number');
  if (shape.length !== 2) unsupported(site, 'the table must have a known size');
  const column = reshape(graph, indices, [indices.shape[0] as Dimension, 1]);
  return [scatterAdd(graph, zeros(graph, shape), expandLike(graph, column, g), g, 0), undefined];
}

function gatherElementsRule(site: Site): (Value | undefined)[] {
  const { graph, node } = site;
  const x = input(site, 0);
  const axis = positive(integer(node, 'axis', 0), x);
  return [scatterAdd(graph, zerosLike(graph, x), input(site, 1), upstream(site), axis), undefined];
}

/** x with updates added: passes the gradient on to x, and picks that of the updates. */
function scatterElementsRule(site: Site): (Value | undefined)[] {
  const { graph, node, wanted } = site;
  const reduction = node.attributes.reduction;
  if (reduction?.type !== 'string' || reduction.value !== 'add') unsupported(site, 'the reduction must be add');
  const indices = input(site, 1);
  const picked = (): Value =>
    graph.op1(
      {
        operator: 'GatherElements',
        inputs: [upstream(site), indices],
        attributes: { axis: { type: 'int', value: integer(node, 'axis', 0) } },
      },
      'float32',
      indices.shape,
    );
  return [upstream(site), undefined, wanted[2] ? picked() : undefined];
}

function padRule(site: Site): Value[] {
  const { graph, inputs, node } = site;
  const mode = node.attributes.mode;
  if (mode?.type === 'string' && mode.value !== 'constant') unsupported(site, 'the mode must be constant');
  if (inputs[3] !== undefined) unsupported(site, 'axes must be absent');
  const x = input(site, 0);
  const pads = site.integers(1);
  return [
    x.shape.reduce<Value>((gradient, _, axis) => {
      const [before, after] = [pads[axis] ?? 0, pads[axis + x.shape.length] ?? 0];
      if (before === 0 && after === 0) return gradient;
      return cut(graph, gradient, before, before + fixed(site, x, axis), axis);
    }, upstream(site)),
  ];
}

/** Elements start..end - 1 along an axis. */
function cut(graph: GraphBuilder, x: Value, start: number, end: number, axis: number): Value {
  const total = x.shape[axis];
  if (typeof total !== 'number') return x;
  const sizes = [start, end - start, total - end].filter((size) => size > 0);
  return split(graph, x, sizes, axis)[start > 0 ? 1 : 0] ?? x;
}

function positive(axis: number, x: Value): number {
  return axis < 0 ? axis + x.shape.length : axis;
}

function fixed(site: Site, x: Value, axis: number): number {
  const size = x.shape[axis];
  return typeof size === 'number' ? size : unsupported(site, `axis ${axis} of ${x.name} must have a known size`);
}

export const shapeRules: Readonly<Record<string, Rule>> = {
  Reshape: reshapeBack,
  Squeeze: reshapeBack,
  Unsqueeze: reshapeBack,
  Flatten: reshapeBack,
  Transpose: transposeRule,
  Concat: concatRule,
  Split: splitRule,
  Slice: sliceRule,
  Pad: padRule,
  Expand: (site) => [sumTo(site.graph, upstream(site), input(site, 0).shape)],
  Gather: gatherRule,
  GatherElements: gatherElementsRule,
  ScatterElements: scatterElementsRule,
};
