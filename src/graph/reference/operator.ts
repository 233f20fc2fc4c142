import { ArgumentError } from '../../errors.ts';
import type { Node } from '../ir.ts';
import type { Tensor64 } from './tensor.ts';

/** Inputs (undefined where absent) to outputs, by the definition in the ONNX operator specification. */
export type ReferenceOperator = (inputs: readonly (Tensor64 | undefined)[], node: Node) => readonly Tensor64[];

export function need(inputs: readonly (Tensor64 | undefined)[], index: number): Tensor64 {
  const found = inputs[index];
  if (found === undefined) throw new ArgumentError(`input ${index} is absent`);
  return found;
}

export function numberOf(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : fallback;
}

export function listOf(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.type === 'ints' ? attribute.value : undefined;
}
