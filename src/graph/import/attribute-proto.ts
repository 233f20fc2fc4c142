/** AttributeProto and NodeProto (onnx.proto). */
import type { Attribute, Node } from '../ir.ts';
import { MessageReader } from './protobuf.ts';
import { parseTensor } from './tensor-proto.ts';

/** Graphs inside of attributes inside of graphs ... that are looked through; real ones are three deep. */
const DEEPEST = 16;

/** Reads a NodeProto. Throws CheckpointError where it is not well formed. */
export function parseNode(message: MessageReader, depth = 0): Node {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: [string, Attribute][] = [];
  const captures = new Set<string>();
  let name = '';
  let operator = '';
  let domain = '';
  while (message.next()) {
    if (message.number === 1) inputs.push(message.text());
    else if (message.number === 2) outputs.push(message.text());
    else if (message.number === 3) name = message.text();
    else if (message.number === 4) operator = message.text();
    else if (message.number === 7) domain = message.text();
    else if (message.number === 5) attributes.push(parseAttribute(message.message('attribute'), captures, depth));
  }
  while (inputs.at(-1) === '') inputs.pop();
  const first = outputs.find((output) => output !== '');
  return {
    name: name === '' ? (first ?? operator) : name,
    domain: domain === 'ai.onnx' ? '' : domain,
    operator,
    inputs,
    outputs,
    // Without the prototype of objects, so that any name is an attribute like the others.
    attributes: Object.assign(Object.create(null) as Record<string, Attribute>, Object.fromEntries(attributes)),
    ...(captures.size === 0 ? {} : { captures: [...captures] }),
  };
}

/** One attribute; the values that its graphs read from outside are added to `captures`. */
function parseAttribute(message: MessageReader, captures: Set<string>, depth: number): [string, Attribute] {
  const encoded = { type: 'encoded', value: message.bytes } as const;
  let name = '';
  let type = 0;
  let float = 0;
  let int = 0n;
  let text: Uint8Array = new Uint8Array();
  const floats: number[] = [];
  const ints: bigint[] = [];
  const texts: Uint8Array[] = [];
  let tensor: Uint8Array | undefined;
  while (message.next()) {
    switch (message.number) {
      case 1:
        name = message.text();
        break;
      case 2:
        float = message.float();
        break;
      case 3:
        int = message.bigint();
        break;
      case 4:
        text = message.content();
        break;
      case 5:
        tensor = message.content();
        break;
      case 6:
      case 11:
        for (const each of freeNames(message.message('graph'), depth + 1)) captures.add(each);
        break;
      case 7:
        message.fixed(4, (view) => floats.push(view.getFloat32(0, true)));
        break;
      case 8:
        message.integers((value) => ints.push(value));
        break;
      case 9:
        texts.push(message.content());
        break;
      case 20:
        type = message.integer();
        break;
    }
  }
  const value = ((): Attribute => {
    switch (type) {
      case 1:
        return { type: 'float', value: float };
      case 2:
        return isSafe(int) ? { type: 'int', value: Number(int) } : encoded;
      case 3: {
        const decoded = decode(text);
        return decoded === undefined ? encoded : { type: 'string', value: decoded };
      }
      case 4:
        return tensor === undefined
          ? message.fail(`attribute ${name} has no tensor`)
          : tensorAttribute(new MessageReader(tensor, `${message.what} ${name}`), encoded);
      case 6:
        return { type: 'floats', value: floats };
      case 7:
        return ints.every(isSafe) ? { type: 'ints', value: ints.map(Number) } : encoded;
      case 8: {
        const decoded = texts.map(decode);
        return decoded.every((each) => each !== undefined) ? { type: 'strings', value: decoded } : encoded;
      }
      default:
        return encoded;
    }
  })();
  return [name, value];
}

/** A tensor of a type that Farfield has no array for stays as it is written: ONNX Runtime reads it. */
function tensorAttribute(message: MessageReader, encoded: Attribute): Attribute {
  const { bytes, what } = message;
  let type = 0;
  while (message.next()) if (message.number === 2) type = message.integer();
  if (type === 8 || type > 16) return encoded;
  const { name: _, ...value } = parseTensor(new MessageReader(bytes, what));
  return { type: 'tensor', value };
}

/** The names that a GraphProto reads and does not define: values of the graphs around it. */
function freeNames(message: MessageReader, depth: number): Set<string> {
  if (depth > DEEPEST) message.fail(`graphs are nested more than ${DEEPEST} deep`);
  const defined = new Set<string>();
  const read = new Set<string>();
  while (message.next()) {
    if (message.number === 1) {
      const node = parseNode(message.message('node'), depth);
      for (const name of [...node.inputs, ...(node.captures ?? [])]) read.add(name);
      for (const name of node.outputs) defined.add(name);
    } else if (message.number === 5) defined.add(nameIn(message.message('initializer'), 8));
    else if (message.number === 11) defined.add(nameIn(message.message('input'), 1));
    else if (message.number === 12) read.add(nameIn(message.message('output'), 1));
  }
  for (const name of [...defined, '']) read.delete(name);
  return read;
}

function nameIn(message: MessageReader, field: number): string {
  let name = '';
  while (message.next()) if (message.number === field) name = message.text();
  return name;
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
