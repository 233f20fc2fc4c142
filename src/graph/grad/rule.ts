import { ArgumentError } from '../../errors.ts';
import type { GraphBuilder } from '../builder.ts';
import type { Node, Value } from '../ir.ts';

/** A node of the forward graph, seen by the rule that differentiates it. */
export interface Site {
  readonly graph: GraphBuilder;
  readonly node: Node;
  /** Values of the forward pass; undefined where an optional one is absent. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly (Value | undefined)[];
  /** Gradient of each output, in its shape; undefined where it is zero. At least one is there. */
  readonly gradients: readonly (Value | undefined)[];
  /** Whether the gradient of each input is asked for. */
  readonly wanted: readonly boolean[];
  /** Numbers of a constant int64 input, e.g. the axes of a reduction. Throws ArgumentError where it is no constant. */
  readonly integers: (input: number) => readonly number[];
}

/**
 * The vector-Jacobian product of an operator (reverse-mode differentiation; Griewank and Walther, "Evaluating Derivatives",
 * section 3.2): adds nodes for the gradients of the inputs and gives them, undefined where one is zero or not wanted.
 */
export type Rule = (site: Site) => readonly (Value | undefined)[];

/** An input that must be there. */
export function input(site: Site, index: number): Value {
  return site.inputs[index] ?? missing(site, `input ${index}`);
}

/** An output that must be there. */
export function output(site: Site, index = 0): Value {
  return site.outputs[index] ?? missing(site, `output ${index}`);
}

/** The gradient of the only output. */
export function upstream(site: Site): Value {
  return site.gradients[0] ?? missing(site, 'the gradient of output 0');
}

/** A scalar constant. */
export function scalar(graph: GraphBuilder, value: number): Value {
  return graph.constant('float32', Float32Array.of(value), []);
}

export function integer(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  if (attribute === undefined) return fallback;
  if (attribute.type !== 'int') throw new ArgumentError(`${node.operator} ${node.name}: ${name} is not an integer`);
  return attribute.value;
}

export function float(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  if (attribute === undefined) return fallback;
  if (attribute.type !== 'float') throw new ArgumentError(`${node.operator} ${node.name}: ${name} is not a float`);
  return attribute.value;
}

export function text(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  if (attribute === undefined) return fallback;
  if (attribute.type !== 'string') throw new ArgumentError(`${node.operator} ${node.name}: ${name} is not a string`);
  return attribute.value;
}

/** A form of the operator that has no rule. */
export function unsupported(site: Site, why: string): never {
  throw new ArgumentError(`no gradient for ${site.node.operator} ${site.node.name}: ${why}`);
}

function missing(site: Site, what: string): never {
  throw new ArgumentError(`${site.node.operator} ${site.node.name}: ${what} is absent`);
}
