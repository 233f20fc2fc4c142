import { MemoryError } from '../errors.ts';
import type { Attribute, ElementType, Graph, Initializer, Node, TensorData, Value } from './ir.ts';

/** TensorProto.DataType (onnx.proto). */
const DATA_TYPE: Readonly<Record<ElementType, number>> = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 };

/** Protocol buffers cannot hold a message of 2 GiB or more (Protocol Buffers documentation, "Encoding"). */
const MESSAGE_LIMIT = 2 ** 31 - 1;

const OPSET = 24;
const IR_VERSION = 10;

/**
 * A message being written: pieces that are joined once at the end, so that a weight is copied once, into the file.
 * Wire types: 0 varint, 2 length-delimited, 5 four bytes.
 */
class Message {
  readonly pieces: Uint8Array[] = [];
  size = 0;

  bytes(field: number, data: Uint8Array): this {
    return this.#key(field, 2).#varint(data.byteLength).#piece(data);
  }

  text(field: number, text: string): this {
    return this.bytes(field, new TextEncoder().encode(text));
  }

  message(field: number, inner: Message): this {
    this.#key(field, 2).#varint(inner.size);
    for (const piece of inner.pieces) this.pieces.push(piece);
    this.size += inner.size;
    return this;
  }

  integer(field: number, value: number): this {
    return this.#key(field, 0).#varint(value);
  }

  float(field: number, value: number): this {
    return this.#key(field, 5).#piece(new Uint8Array(Float32Array.of(value).buffer));
  }

  #key(field: number, wire: number): this {
    return this.#varint(field * 8 + wire);
  }

  /** Base 128, low groups first; a negative number as its 64-bit two's complement. */
  #varint(value: number): this {
    const groups: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      groups.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    groups.push(Number(rest));
    return this.#piece(Uint8Array.from(groups));
  }

  #piece(data: Uint8Array): this {
    this.pieces.push(data);
    this.size += data.byteLength;
    return this;
  }
}

function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  switch (value.type) {
    case 'float':
      return message.float(2, value.value).integer(20, 1);
    case 'int':
      return message.integer(3, value.value).integer(20, 2);
    case 'string':
      return message.text(4, value.value).integer(20, 3);
    case 'floats':
      for (const x of value.value) message.float(7, x);
      return message.integer(20, 6);
    case 'ints':
      for (const x of value.value) message.integer(8, x);
      return message.integer(20, 7);
  }
}

function node(node: Node): Message {
  const message = new Message();
  for (const input of node.inputs) message.text(1, input);
  for (const output of node.outputs) message.text(2, output);
  message.text(3, node.name).text(4, node.operator);
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, attribute(name, value));
  return message.text(7, node.domain);
}

function valueInfo(value: Value): Message {
  const shape = new Message();
  for (const dimension of value.shape) {
    shape.message(
      1,
      typeof dimension === 'number' ? new Message().integer(1, dimension) : new Message().text(2, dimension),
    );
  }
  const tensorType = new Message().integer(1, DATA_TYPE[value.type]).message(2, shape);
  return new Message().text(1, value.name).message(2, new Message().message(1, tensorType));
}

/** ONNX stores raw data in little-endian order, which is the order of every machine that runs JavaScript today. */
function tensor(initializer: Initializer, data: TensorData): Message {
  const message = new Message();
  for (const dimension of initializer.shape) message.integer(1, dimension);
  return message
    .integer(2, DATA_TYPE[initializer.type])
    .text(8, initializer.name)
    .bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

export interface WriteOptions {
  /** Version of the standard operator set. Default 24. */
  readonly opset?: number;
  readonly signal?: AbortSignal;
}

/**
 * Writes a graph as an ONNX ModelProto (onnx.proto, IR version 10), with every initializer inside. Loads them one after the
 * other. Throws MemoryError when the file would reach 2 GiB, before it is put together.
 */
export async function writeOnnx(graph: Graph, options: WriteOptions = {}): Promise<Uint8Array> {
  const body = new Message();
  for (const each of graph.nodes) body.message(1, node(each));
  body.text(2, graph.name);
  for (const initializer of graph.initializers) {
    options.signal?.throwIfAborted();
    body.message(5, tensor(initializer, await initializer.load()));
    if (body.size > MESSAGE_LIMIT - 1024) {
      throw new MemoryError(
        `graph ${graph.name}: with initializer ${initializer.name} its ONNX file has ${body.size} bytes; ` +
          'the format allows less than 2 GiB. Split the weight, or quantize it.',
        body.size,
        MESSAGE_LIMIT,
      );
    }
  }
  for (const input of graph.inputs) body.message(11, valueInfo(input));
  for (const output of graph.outputs) body.message(12, valueInfo(output));

  const domains = new Map<string, number>([['', options.opset ?? OPSET]]);
  for (const { domain } of graph.nodes) if (domain !== '') domains.set(domain, 1);
  const model = new Message().integer(1, IR_VERSION).text(2, 'farfield').message(7, body);
  for (const [domain, version] of domains) {
    model.message(8, new Message().text(1, domain).integer(2, version));
  }
  const file = new Uint8Array(model.size);
  let offset = 0;
  for (const piece of model.pieces) {
    file.set(piece, offset);
    offset += piece.byteLength;
  }
  return file;
}
