import { CheckpointError } from '../../errors.ts';
import type { ConstantTensor, ElementType, Graph, Node, Value } from '../ir.ts';
import { ELEMENTWISE } from './elementwise-rules.ts';
import { MOVEMENT } from './movement-rules.ts';
import { constantOf, dimension, format, type Polynomial, TooComplexError } from './polynomial.ts';
import { NodeView, type Rule } from './rule.ts';
import { anyOperator, SHAPES } from './shape-rules.ts';
import { constantTensor, elementsOf, listTensor, opaque, type SymbolicTensor } from './symbolic-tensor.ts';

/** Domains whose operators the rules know; others keep their type alone. */
const KNOWN_DOMAINS = new Set(['', 'com.microsoft']);

/** What is known of a graph's values before it runs. */
export interface Inference {
  readonly tensors: ReadonlyMap<string, SymbolicTensor>;
}

/**
 * Follows types, shapes and the arithmetic of shapes and masks through a graph, as far as masks and attention need it; what cannot be
 * followed is unknown, not wrong. `constants` are the small initializers; `declared` are types and shapes that the file gives.
 * Throws CheckpointError where a node reads a value that nothing has made before it.
 */
export function inferTensors(
  graph: Pick<Graph, 'name' | 'inputs' | 'initializers' | 'nodes' | 'opsets'>,
  constants: ReadonlyMap<string, ConstantTensor>,
  declared: ReadonlyMap<string, DeclaredValue> = new Map(),
): Inference {
  const tensors = new Map<string, SymbolicTensor>();
  for (const input of graph.inputs) {
    tensors.set(
      input.name,
      opaque(input.name, input.type, input.ranked === false ? undefined : input.shape.map(dimension)),
    );
  }
  for (const { name, type, shape } of graph.initializers) {
    const data = constants.get(name);
    tensors.set(name, data === undefined ? opaque(name, type, shape.map(dimension)) : constantTensor(name, data));
  }
  const opset = graph.opsets?.get('') ?? 1;
  for (const node of graph.nodes) {
    for (const name of [...node.inputs, ...(node.captures ?? [])]) {
      if (name !== '' && !tensors.has(name)) {
        throw new CheckpointError(
          `${graph.name}: ${node.operator} ${node.name} reads ${JSON.stringify(name)} before a node has made it`,
        );
      }
    }
    const view = new NodeView(
      node,
      opset,
      node.inputs.map((name) => tensors.get(name)),
    );
    const outputs = applyRule(view);
    for (const [i, name] of node.outputs.entries()) {
      if (name === '') continue;
      if (tensors.has(name)) throw new CheckpointError(`${graph.name}: two nodes make ${JSON.stringify(name)}`);
      tensors.set(name, completed(name, outputs[i] ?? anyOperator(view)[i], declared.get(name)));
    }
  }
  return { tensors };
}

/** A value as the file declares it. */
export interface DeclaredValue {
  readonly type: ElementType | undefined;
  readonly shape: readonly (number | string)[] | undefined;
}

function applyRule(view: NodeView): readonly SymbolicTensor[] {
  const { domain, operator } = view.node;
  const rule: Rule | undefined = KNOWN_DOMAINS.has(domain)
    ? (ownOf(ELEMENTWISE, operator) ?? ownOf(MOVEMENT, operator) ?? ownOf(SHAPES, operator))
    : undefined;
  try {
    return (rule ?? anyOperator)(view);
  } catch (error) {
    if (error instanceof TooComplexError) return anyOperator(view);
    throw error;
  }
}

function ownOf(rules: Readonly<Record<string, Rule>>, operator: string): Rule | undefined {
  return Object.hasOwn(rules, operator) ? rules[operator] : undefined;
}

/** Adds what the file declares, and looks the elements of short lists up once, so that shape arithmetic stays short. */
function completed(
  name: string,
  inferred: SymbolicTensor | undefined,
  declared: DeclaredValue | undefined,
): SymbolicTensor {
  const type = declared?.type ?? inferred?.type;
  const shape = inferred?.shape ?? declared?.shape?.map(dimension);
  if (inferred === undefined) return opaque(name, type, shape);
  const tensor = { ...inferred, type, shape };
  if (shape === undefined || shape.length > 1) return tensor;
  const isShort = shape[0] === undefined || (constantOf(shape[0]) ?? 65) <= 64;
  if (!isShort || (type !== 'int64' && type !== 'int32' && type !== 'bool')) return tensor;
  try {
    const elements = elementsOf(tensor);
    if (elements === undefined || type === undefined) return tensor;
    const [only] = elements;
    return shape.length === 0 && only !== undefined ? { type, shape, at: () => only } : listTensor(type, elements);
  } catch (error) {
    if (error instanceof TooComplexError) return opaque(name, type, shape);
    throw error;
  }
}

/** The graph's values by name, as the rest of graph/ knows them. Throws CheckpointError for one whose type is not known. */
export function valuesOf(name: string, { tensors }: Inference, nodes: readonly Node[]): Map<string, Value> {
  const values = new Map<string, Value>();
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  for (const [value, { type, shape }] of tensors) {
    if (type === undefined) {
      const maker = makers.get(value);
      throw new CheckpointError(
        `${name}: the element type of ${JSON.stringify(value)}, which ${maker?.operator} ${maker?.name} makes, is not known`,
      );
    }
    values.set(
      value,
      shape === undefined
        ? { name: value, type, shape: [], ranked: false }
        : { name: value, type, shape: shape.map(sideOf) },
    );
  }
  return values;
}

function sideOf(side: Polynomial): number | string {
  return constantOf(side) ?? format(side);
}
