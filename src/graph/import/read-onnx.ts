/**
 * Reads ONNX files (onnx.proto, IR versions 3 to 13): the graph, with weights that are read when they are loaded. What does not
 * change what a graph computes (documentation, training information, quantization annotations) is passed over.
 */
import { CheckpointError } from '../../errors.ts';
import { elementType } from '../element-type.ts';
import type { ConstantTensor, Graph, Initializer, Node, Value } from '../ir.ts';
import { parseNode } from './attribute-proto.ts';
import { type DeclaredValue, type Inference, inferTensors, valuesOf } from './infer.ts';
import { type ByteRange, type FileField, FileReader, MessageReader } from './protobuf.ts';
import { type OpenExternal, readInitializer, type StoredTensor } from './tensor-proto.ts';

export interface ReadOnnxOptions {
  /** Opens files of external data. Default: a model with external data is refused. */
  readonly openExternal?: OpenExternal;
  readonly signal?: AbortSignal;
}

/** An ONNX file. */
export interface OnnxModel {
  readonly graph: Graph;
  /** Version of the standard operator set. */
  readonly opset: number;
  readonly irVersion: number;
  /** The program that wrote it, e.g. "pytorch". */
  readonly producer: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** Small initializers, which shapes and masks are computed from. */
  readonly constants: ReadonlyMap<string, ConstantTensor>;
  /** What is known of the graph's values. */
  readonly inference: Inference;
}

/** Constants up to this many elements are followed through the arithmetic of shapes. */
const SMALL = 1024;

/**
 * Reads a model: its bytes, or a file of which only what is needed is read. Weights stay where they are until they are loaded.
 * Throws CheckpointError that names the field or the node where the file is truncated, corrupt, or uses what Farfield does not read:
 * functions of the model's own, weights of text or complex numbers, operators out of order.
 */
export async function readOnnx(source: Uint8Array | ByteRange, options: ReadOnnxOptions = {}): Promise<OnnxModel> {
  const file = new FileReader(source instanceof Uint8Array ? inMemory(source) : source);
  const { name: fileName, size } = file.source;
  const model = { irVersion: 0, producer: '', opsets: new Map<string, number>(), metadata: new Map<string, string>() };
  let graphField: FileField | undefined;
  for await (const field of file.fields(0, size, 'model')) {
    if (field.number === 1) model.irVersion = Number(field.value);
    else if (field.number === 2) model.producer = await file.text(field, 'model producer_name');
    else if (field.number === 7) graphField = field;
    else if (field.number === 8) readOpset(await file.reader(field, 'opset_import'), model.opsets);
    else if (field.number === 14) readMetadata(await file.reader(field, 'metadata_props'), model.metadata);
    else if (field.number === 25) {
      throw new CheckpointError(
        `${fileName}: the model defines functions of its own, which Farfield does not read; export it with them inlined`,
      );
    }
  }
  if (graphField === undefined || graphField.wire !== 2) {
    throw new CheckpointError(`${fileName}: there is no graph in it: not an ONNX model, or truncated`);
  }
  if (!model.opsets.has('')) model.opsets.set('', 1);
  const parts = await readGraph(file, graphField, options);
  const constants = new Map<string, ConstantTensor>();
  for (const { name, type, shape, load } of parts.initializers.values()) {
    if (shape.reduce((product, side) => product * side, 1) > SMALL) continue;
    constants.set(name, { type, shape, data: await load() });
  }
  const initializers: Initializer[] = [...parts.initializers.values()];
  const inputs = parts.inputs.filter((input) => !parts.initializers.has(input.name));
  const skeleton = { name: parts.name, inputs, initializers, nodes: parts.nodes, opsets: model.opsets };
  const inference = inferTensors({ ...skeleton, name: fileName }, constants, parts.declared);
  const values = valuesOf(fileName, inference, parts.nodes);
  const outputs = parts.outputs.map((name): Value => {
    const value = values.get(name);
    if (value === undefined) throw new CheckpointError(`${fileName}: nothing makes the output ${JSON.stringify(name)}`);
    return value;
  });
  const { opsets, ...rest } = model;
  return { ...rest, opset: opsets.get('') ?? 1, graph: { ...skeleton, outputs, values }, constants, inference };
}

interface GraphParts {
  name: string;
  readonly nodes: Node[];
  readonly initializers: Map<string, StoredTensor>;
  readonly inputs: Value[];
  readonly outputs: string[];
  readonly declared: Map<string, DeclaredValue>;
}

async function readGraph(file: FileReader, field: FileField, options: ReadOnnxOptions): Promise<GraphParts> {
  const parts: GraphParts = {
    name: 'graph',
    nodes: [],
    initializers: new Map(),
    inputs: [],
    outputs: [],
    declared: new Map(),
  };
  const { name: fileName } = file.source;
  const add = (tensor: StoredTensor): void => {
    if (tensor.name === '' || parts.initializers.has(tensor.name)) {
      throw new CheckpointError(
        `${fileName}: two initializers have the name ${JSON.stringify(tensor.name)}, or one has none`,
      );
    }
    parts.initializers.set(tensor.name, tensor);
  };
  for await (const inner of file.fields(field.start, field.end, 'graph')) {
    options.signal?.throwIfAborted();
    if (inner.number === 1) {
      const what = `${fileName}: node ${parts.nodes.length}`;
      const node = parseNode(new MessageReader(await file.content(inner, what), what));
      const constant = constantOf(node);
      if (constant === undefined) parts.nodes.push(node);
      else add(constant);
    } else if (inner.number === 2) parts.name = await file.text(inner, 'graph name');
    else if (inner.number === 5) {
      add(await readInitializer(file, inner, `initializer ${parts.initializers.size}`, options.openExternal));
    } else if (inner.number === 15) {
      throw new CheckpointError(`${fileName}: the graph has sparse initializers, which Farfield does not read`);
    } else if (inner.number === 11 || inner.number === 12 || inner.number === 13) {
      const what = `${fileName}: ${inner.number === 11 ? 'input' : inner.number === 12 ? 'output' : 'value_info'}`;
      const { name, ...declared } = readValue(new MessageReader(await file.content(inner, what), what));
      if (inner.number === 12) parts.outputs.push(name);
      if (inner.number !== 11) {
        parts.declared.set(name, declared);
        continue;
      }
      const { type, shape } = declared;
      if (type === undefined)
        throw new CheckpointError(`${what} ${JSON.stringify(name)} is no tensor of a type that Farfield reads`);
      parts.inputs.push(shape === undefined ? { name, type, shape: [], ranked: false } : { name, type, shape });
    }
  }
  return parts;
}

/** A Constant node as an initializer; undefined for other nodes, and for constants that are no tensors of numbers. */
function constantOf(node: Node): StoredTensor | undefined {
  const [name = ''] = node.outputs;
  if (node.operator !== 'Constant' || node.domain !== '' || name === '') return undefined;
  const made = (tensor: ConstantTensor): StoredTensor => ({
    name,
    type: tensor.type,
    shape: tensor.shape,
    load: () => tensor.data,
  });
  for (const attribute of Object.values(node.attributes)) {
    if (attribute.type === 'tensor') return made(attribute.value);
    if (attribute.type === 'int')
      return made({ type: 'int64', shape: [], data: BigInt64Array.of(BigInt(attribute.value)) });
    if (attribute.type === 'float') return made({ type: 'float32', shape: [], data: Float32Array.of(attribute.value) });
    if (attribute.type === 'ints') {
      const data = BigInt64Array.from(attribute.value, BigInt);
      return made({ type: 'int64', shape: [data.length], data });
    }
    if (attribute.type === 'floats') {
      return made({ type: 'float32', shape: [attribute.value.length], data: Float32Array.from(attribute.value) });
    }
  }
  return undefined;
}

/** ValueInfoProto, of tensors. Dimensions without a name get one, so that they are not taken for each other. */
function readValue(message: MessageReader): DeclaredValue & { name: string } {
  let name = '';
  let type: DeclaredValue['type'];
  let shape: (number | string)[] | undefined;
  while (message.next()) {
    if (message.number === 1) name = message.text();
    if (message.number !== 2) continue;
    const typeProto = message.message('type');
    while (typeProto.next()) {
      if (typeProto.number !== 1) continue;
      const tensor = typeProto.message('tensor_type');
      while (tensor.next()) {
        if (tensor.number === 1) type = elementType(tensor.integer());
        else if (tensor.number === 2) shape = readShape(tensor.message('shape'));
      }
    }
  }
  return { name, type, shape: shape?.map((side, axis) => (side === '' ? `${name}.${axis}` : side)) };
}

/** TensorShapeProto; '' for a dimension that is neither a number nor named. */
function readShape(message: MessageReader): (number | string)[] {
  const sides: (number | string)[] = [];
  while (message.next()) {
    if (message.number !== 1) continue;
    const side = message.message('dim');
    let value: number | string = '';
    while (side.next()) {
      if (side.number === 1) value = side.integer();
      else if (side.number === 2) value = side.text();
    }
    // Some exporters write -1 or 0 for a dimension that varies.
    sides.push(typeof value === 'number' && value <= 0 ? '' : value);
  }
  return sides;
}

function readOpset(field: MessageReader, opsets: Map<string, number>): void {
  const message = field.message('opset_import');
  let domain = '';
  let version = 0;
  while (message.next()) {
    if (message.number === 1) domain = message.text();
    else if (message.number === 2) version = message.integer();
  }
  opsets.set(domain === 'ai.onnx' ? '' : domain, version);
}

function readMetadata(field: MessageReader, metadata: Map<string, string>): void {
  const message = field.message('metadata_props');
  let key = '';
  let value = '';
  while (message.next()) {
    if (message.number === 1) key = message.text();
    else if (message.number === 2) value = message.text();
  }
  metadata.set(key, value);
}

function inMemory(bytes: Uint8Array): ByteRange {
  return {
    name: 'model',
    size: bytes.byteLength,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
