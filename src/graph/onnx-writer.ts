import { counted } from '../counted.ts';
import { ArgumentError, MemoryError } from '../errors.ts';
import { ONNX_TYPE } from './element-type.ts';
import type { Attribute, ConstantTensor, Graph, Initializer, Node, TensorData, Value } from './ir.ts';
import { Message } from './protobuf-message.ts';
import { bytesOfShape, describeShape } from './tensor-data.ts';

/** Protocol buffers cannot hold a message of 2 GiB or more (Protocol Buffers documentation, "Encoding"). */
const MESSAGE_LIMIT = 2 ** 31 - 1;

const OPSET = 24;
const IR_VERSION = 10;

/** Where an initializer's bytes lie, if not in the model: in a file beside it (ONNX documentation, "External Data"). */
export interface ExternalPlace {
  /** The file's name, beside the model. */
  readonly location: string;
  /** In bytes from its start. */
  readonly offset: number;
  readonly length: number;
}

export interface WriteOptions {
  /** Version of the standard operator set, for a graph that does not say its own. Default 24. */
  readonly opset?: number;
  /** Initializers by name that the model only points to. */
  readonly external?: ReadonlyMap<string, ExternalPlace>;
  readonly signal?: AbortSignal;
}

/**
 * Writes a graph as an ONNX ModelProto (onnx.proto, IR version 10), with every initializer inside that is not said to be external.
 * Loads them one after the other, each into its place. Throws MemoryError when the file would reach 2 GiB, before the first is loaded.
 */
export async function writeOnnx(graph: Graph, options: WriteOptions = {}): Promise<Uint8Array> {
  const body = await graphMessage(graph, options);
  const domains = new Map(graph.opsets ?? [['', options.opset ?? OPSET]]);
  for (const { domain } of graph.nodes) if (!domains.has(domain)) domains.set(domain, domain === '' ? OPSET : 1);
  const model = new Message().integer(1, IR_VERSION).text(2, 'farfield').message(7, body);
  for (const [domain, version] of domains) {
    model.message(8, new Message().text(1, domain).integer(2, version));
  }
  return model.load(options.signal);
}

async function graphMessage(graph: Graph, options: WriteOptions): Promise<Message> {
  const body = new Message();
  for (const each of graph.nodes) body.message(1, await nodeMessage(each, options));
  body.text(2, graph.name);
  for (const initializer of graph.initializers) {
    body.message(5, initializerMessage(initializer, options));
    if (body.size > MESSAGE_LIMIT - 1024) {
      throw new MemoryError(
        `graph ${graph.name}: with initializer ${initializer.name} its ONNX file has ${body.size} bytes; ` +
          'the format allows less than 2 GiB. Split the weight, quantize it, or write it to external data.',
        body.size,
        MESSAGE_LIMIT,
      );
    }
  }
  for (const input of graph.inputs) body.message(11, valueMessage(input));
  for (const output of graph.outputs) body.message(12, valueMessage(output));
  return body;
}

async function nodeMessage(node: Node, options: WriteOptions): Promise<Message> {
  const message = new Message();
  for (const input of node.inputs) message.text(1, input);
  for (const output of node.outputs) message.text(2, output);
  message.text(3, node.name).text(4, node.operator);
  for (const [name, value] of Object.entries(node.attributes)) {
    if (value.type === 'encoded') message.bytes(5, value.value);
    else message.message(5, await attributeMessage(name, value, options));
  }
  return message.text(7, node.domain);
}

async function attributeMessage(
  name: string,
  value: Exclude<Attribute, { type: 'encoded' }>,
  options: WriteOptions,
): Promise<Message> {
  const message = new Message().text(1, name);
  switch (value.type) {
    case 'float':
      return message.float(2, value.value).integer(20, 1);
    case 'int':
      return message.integer(3, value.value).integer(20, 2);
    case 'string':
      return message.text(4, value.value).integer(20, 3);
    case 'tensor':
      return message.message(5, tensorMessage('', value.value)).integer(20, 4);
    case 'graph':
      return message.message(6, await graphMessage(value.value, options)).integer(20, 5);
    case 'floats':
      for (const x of value.value) message.float(7, x);
      return message.integer(20, 6);
    case 'ints':
      for (const x of value.value) message.integer(8, x);
      return message.integer(20, 7);
    case 'strings':
      for (const x of value.value) message.text(9, x);
      return message.integer(20, 8);
  }
}

function valueMessage(value: Value): Message {
  const tensorType = new Message().integer(1, ONNX_TYPE[value.type]);
  if (value.ranked !== false) {
    const shape = new Message();
    for (const dimension of value.shape) {
      shape.message(
        1,
        typeof dimension === 'number' ? new Message().integer(1, dimension) : new Message().text(2, dimension),
      );
    }
    tensorType.message(2, shape);
  }
  return new Message().text(1, value.name).message(2, new Message().message(1, tensorType));
}

function initializerMessage(initializer: Initializer, options: WriteOptions): Message {
  const { name, type, shape, load } = initializer;
  const place = options.external?.get(name);
  if (place === undefined) {
    const byteLength = bytesOfShape(type, shape);
    const loadBytes = async () => {
      const bytes = bytesOf(await load());
      if (bytes.byteLength === byteLength) return bytes;
      throw new ArgumentError(
        `initializer ${name}: ${type} ${describeShape(shape)} has ${counted(byteLength, 'byte')}, and load() gave ${bytes.byteLength}`,
      );
    };
    return tensorHeader(name, initializer).bytes(9, { byteLength, load: loadBytes });
  }
  const message = tensorHeader(name, { type, shape });
  for (const [key, value] of Object.entries(place)) {
    message.message(13, new Message().text(1, key).text(2, String(value)));
  }
  return message.integer(14, 1);
}

/** ONNX stores raw data in little-endian order, which is the order of every machine that runs JavaScript today. */
function tensorMessage(name: string, tensor: ConstantTensor): Message {
  return tensorHeader(name, tensor).bytes(9, bytesOf(tensor.data));
}

function tensorHeader(name: string, { type, shape }: Pick<ConstantTensor, 'type' | 'shape'>): Message {
  const message = new Message();
  for (const dimension of shape) message.integer(1, dimension);
  return message.integer(2, ONNX_TYPE[type]).text(8, name);
}

export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
