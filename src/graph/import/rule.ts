import type { Attribute, Node } from '../ir.ts';
import type { SymbolicTensor } from './symbolic-tensor.ts';

/** The values of attributes by type. */
type AttributeValues = { readonly [T in Attribute['type']]: Extract<Attribute, { readonly type: T }>['value'] };

/** A node with what is known of its inputs. */
export class NodeView {
  readonly node: Node;
  /** Version of the standard operator set. */
  readonly opset: number;
  readonly inputs: readonly (SymbolicTensor | undefined)[];

  constructor(node: Node, opset: number, inputs: readonly (SymbolicTensor | undefined)[]) {
    this.node = node;
    this.opset = opset;
    this.inputs = inputs;
  }

  attribute<T extends Attribute['type']>(name: string, type: T): AttributeValues[T] | undefined {
    const attribute = this.node.attributes[name];
    return attribute?.type === type ? (attribute.value as AttributeValues[T]) : undefined;
  }

  int(name: string, otherwise: number): number {
    return this.attribute(name, 'int') ?? otherwise;
  }
}

/** What an operator tells of its outputs, first to last; those that it leaves out are not known. Element lookups may throw TooComplexError. */
export type Rule = (view: NodeView) => readonly SymbolicTensor[];
