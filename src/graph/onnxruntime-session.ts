import { ArgumentError, DeviceError } from '../errors.ts';
import type { CompileOptions, DenseBackend, DenseSession, HostTensor } from './backend.ts';
import type { ElementType, Graph, TensorData } from './ir.ts';
import { writeOnnx } from './onnx-writer.ts';
import { createData, describeShape, hostTensor } from './tensor-data.ts';

/** What onnxruntime-node and onnxruntime-web have in common (the package onnxruntime-common), as far as it is used here. */
export interface Runtime<Tensor extends RuntimeTensor, Options> {
  readonly InferenceSession: {
    create(model: Uint8Array, options: Options): Promise<RuntimeSession<Tensor>>;
  };
  readonly Tensor: new (type: RuntimeType, data: TensorData, shape: readonly number[]) => Tensor;
}

/** The runtimes take tensors of all types but this one, which only weights can have. */
type RuntimeType = Exclude<ElementType, 'bfloat16'>;

export interface RuntimeTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface RuntimeSession<Tensor> {
  readonly outputNames: readonly string[];
  run(feeds: Record<string, Tensor>, fetches: Record<string, Tensor | null>): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

export interface RuntimeBehaviour {
  readonly name: string;
  /** Whether tensors over shared memory are taken as they are. */
  readonly acceptsSharedMemory: boolean;
  /** The most threads of one operator. */
  readonly threads: number;
  /** Whether a fetch with data is written in place; else the results are copied there. */
  readonly writesInPlace: boolean;
  /** Whether the copies that the runtime makes of outputs that it has written in place are freed at once. Default false. */
  readonly freesCopies?: boolean;
}

/** A DenseBackend on either package of ONNX Runtime. */
export function createRuntimeBackend<Tensor extends RuntimeTensor, Options>(
  runtime: Runtime<Tensor, Options>,
  behaviour: RuntimeBehaviour,
  sessionOptions: Options,
  singleThreaded: Options = sessionOptions,
): DenseBackend {
  return {
    name: behaviour.name,
    acceptsSharedMemory: behaviour.acceptsSharedMemory,
    threads: behaviour.threads,
    async compile(graph: Graph, options: CompileOptions = {}): Promise<DenseSession> {
      const model = await writeOnnx(graph, options);
      options.signal?.throwIfAborted();
      try {
        const own = options.isSingleThreaded ? singleThreaded : sessionOptions;
        const session = await runtime.InferenceSession.create(model, own);
        // The runtime has copies of the weights; these need not wait for the garbage collector (from Node 22 on).
        (model.buffer as ArrayBufferLike & Movable).transfer?.(0);
        const { freesCopies = behaviour.freesCopies ?? false } = options;
        return new OnnxRuntimeSession(graph, session, runtime.Tensor, { ...behaviour, freesCopies });
      } catch (error) {
        const why = messageOf(error);
        throw new DeviceError(`${behaviour.name} refused graph ${graph.name}: ${why}${nodesOf(graph, why)}`, {
          cause: error,
        });
      }
    },
  };
}

/** ECMAScript 2024: gives the memory to a new buffer, here of no bytes. */
interface Movable {
  readonly transfer?: (bytes: number) => unknown;
}

/** The nodes of an operator that the engine does not have, where its message names the operator alone. */
function nodesOf(graph: Graph, message: string): string {
  const operator = /([\w.]+)\(-?\d+\) is not a registered function\/op/.exec(message)?.[1];
  const names = graph.nodes.filter((node) => node.operator === operator).map(({ name }) => name);
  return names.length === 0 ? '' : `; it is in ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', ...' : ''}`;
}

class OnnxRuntimeSession<Tensor extends RuntimeTensor> implements DenseSession {
  readonly #graph: Graph;
  readonly #session: RuntimeSession<Tensor>;
  readonly #Tensor: Runtime<Tensor, never>['Tensor'];
  readonly #behaviour: RuntimeBehaviour;
  /** Converted tensors, so that a decoding step that reuses its buffers makes none. */
  readonly #converted = new WeakMap<HostTensor, Tensor>();
  /** Unshared copies by value name, where the runtime refuses shared memory. */
  readonly #copies = new Map<string, TensorData>();
  #released = false;

  constructor(
    graph: Graph,
    session: RuntimeSession<Tensor>,
    Tensor: Runtime<Tensor, never>['Tensor'],
    behaviour: RuntimeBehaviour,
  ) {
    this.#graph = graph;
    this.#session = session;
    this.#Tensor = Tensor;
    this.#behaviour = behaviour;
  }

  async run(feeds: Readonly<Record<string, HostTensor>>, fetches: Readonly<Record<string, HostTensor>>): Promise<void> {
    const inputs = this.#inputsOf(feeds);
    const outputs: Record<string, Tensor | null> = {};
    const { writesInPlace, freesCopies } = this.#behaviour;
    for (const [name, fetch] of Object.entries(fetches)) {
      if (!writesInPlace) outputs[name] = null;
      else outputs[name] = this.#mustCopy(fetch) ? this.#copyOf(name, fetch, false) : this.#convert(fetch);
    }
    const results = await this.#execute(inputs, outputs);
    for (const [name, fetch] of Object.entries(fetches)) {
      if (!writesInPlace || this.#mustCopy(fetch)) copyInto(fetch, results[name], name);
      else if (freesCopies) freeCopy(results[name]?.data, fetch.data);
    }
  }

  async compute(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
    const names = this.#graph.outputs.map((output) => output.name);
    const results = await this.#execute(this.#inputsOf(feeds), Object.fromEntries(names.map((name) => [name, null])));
    const tensors: Record<string, HostTensor> = {};
    for (const { name, type } of this.#graph.outputs) {
      const result = results[name];
      if (result === undefined || !ArrayBuffer.isView(result.data)) {
        throw new DeviceError(`output ${name}: the runtime gave no data`);
      }
      tensors[name] = hostTensor(type, arrayOf(type, result.data, name), result.dims);
    }
    return tensors;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#copies.clear();
    await this.#session.release();
  }

  #inputsOf(feeds: Readonly<Record<string, HostTensor>>): Record<string, Tensor> {
    if (this.#released) throw new DeviceError(`graph ${this.#graph.name}: run() after release()`);
    const inputs: Record<string, Tensor> = {};
    for (const { name } of this.#graph.inputs) {
      const feed = feeds[name];
      if (feed === undefined) throw new ArgumentError(`graph ${this.#graph.name}: input ${name} is missing from feeds`);
      inputs[name] = this.#mustCopy(feed) ? this.#copyOf(name, feed, true) : this.#convert(feed);
    }
    return inputs;
  }

  async #execute(
    inputs: Record<string, Tensor>,
    outputs: Record<string, Tensor | null>,
  ): Promise<Record<string, Tensor>> {
    try {
      return await this.#session.run(inputs, outputs);
    } catch (error) {
      const given = Object.entries(inputs).map(([name, { dims }]) => `${name} ${describeShape(dims)}`);
      throw new DeviceError(
        `${this.#behaviour.name} failed in graph ${this.#graph.name} with ${given.join(', ')}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  #mustCopy(tensor: HostTensor): boolean {
    return !this.#behaviour.acceptsSharedMemory && isShared(tensor.data);
  }

  #convert(tensor: HostTensor): Tensor {
    let converted = this.#converted.get(tensor);
    if (converted === undefined) {
      converted = new this.#Tensor(runtimeType(tensor), tensor.data, tensor.shape);
      this.#converted.set(tensor, converted);
    }
    return converted;
  }

  #copyOf(name: string, tensor: HostTensor, withContent: boolean): Tensor {
    let copy = this.#copies.get(name);
    if (copy === undefined || copy.length < tensor.data.length) {
      copy = createData(tensor.type, tensor.data.length);
      this.#copies.set(name, copy);
    }
    const part = copy.subarray(0, tensor.data.length);
    if (withContent) setData(part, tensor.data, name);
    return new this.#Tensor(runtimeType(tensor), part, tensor.shape);
  }
}

function runtimeType({ type }: HostTensor): RuntimeType {
  if (type === 'bfloat16')
    throw new ArgumentError('ONNX Runtime takes no bfloat16 tensors in JavaScript; cast them in the graph');
  return type;
}

function isShared(data: TensorData): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && data.buffer instanceof SharedArrayBuffer;
}

/**
 * onnxruntime-node gives a new array for every output, even where it has written it in place. Left to the garbage collector, these
 * copies, megabytes for every run, keep it marking. Needs ArrayBuffer.transfer (Node 22).
 */
function freeCopy(copy: unknown, own: TensorData): void {
  if (!ArrayBuffer.isView(copy) || copy.buffer === own.buffer) return;
  const buffer: ArrayBufferLike & { transfer?: (length: number) => unknown } = copy.buffer;
  if (buffer instanceof ArrayBuffer) buffer.transfer?.(0);
}

function copyInto(fetch: HostTensor, result: RuntimeTensor | undefined, name: string): void {
  if (result === undefined || !ArrayBuffer.isView(result.data)) {
    throw new DeviceError(`output ${name}: the runtime gave no data`);
  }
  if (result.dims.join() !== fetch.shape.join()) {
    throw new ArgumentError(
      `output ${name} has shape ${describeShape(result.dims)}; fetches has ${describeShape(fetch.shape)}`,
    );
  }
  setData(fetch.data, result.data, name);
}

function setData(target: TensorData, source: unknown, name: string): void {
  if (!ArrayBuffer.isView(source) || source.constructor !== target.constructor) {
    throw new DeviceError(`value ${name}: expected ${target.constructor.name}`);
  }
  (target as { set(source: ArrayLike<unknown>): void }).set(source as unknown as ArrayLike<unknown>);
}

/** The runtime's array in the type that holds such elements here: float16 as bits, where the runtime has an array of numbers. */
function arrayOf(type: ElementType, view: ArrayBufferView, name: string): TensorData {
  const array = createData(type, 0);
  if (view.constructor === array.constructor) return view as TensorData;
  if (type !== 'float16') throw new DeviceError(`value ${name}: expected ${array.constructor.name}`);
  return new Uint16Array(view.buffer, view.byteOffset, view.byteLength / 2);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
