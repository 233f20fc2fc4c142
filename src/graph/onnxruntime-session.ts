import { ArgumentError, DeviceError } from '../errors.ts';
import type { CompileOptions, DenseBackend, DenseSession, HostTensor } from './backend.ts';
import type { ElementType, Graph, TensorData } from './ir.ts';
import { writeOnnx } from './onnx-writer.ts';
import { createData, describeShape } from './tensor-data.ts';

/** What onnxruntime-node and onnxruntime-web have in common (the package onnxruntime-common), as far as it is used here. */
export interface Runtime<Tensor extends RuntimeTensor, Options> {
  readonly InferenceSession: {
    create(model: Uint8Array, options: Options): Promise<RuntimeSession<Tensor>>;
  };
  readonly Tensor: new (type: ElementType, data: TensorData, shape: readonly number[]) => Tensor;
}

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
  /** Whether a fetch with data is written in place; else the results are copied there. */
  readonly writesInPlace: boolean;
}

/** A DenseBackend on either package of ONNX Runtime. */
export function createRuntimeBackend<Tensor extends RuntimeTensor, Options>(
  runtime: Runtime<Tensor, Options>,
  behaviour: RuntimeBehaviour,
  sessionOptions: Options,
): DenseBackend {
  return {
    name: behaviour.name,
    acceptsSharedMemory: behaviour.acceptsSharedMemory,
    async compile(graph: Graph, options: CompileOptions = {}): Promise<DenseSession> {
      const model = await writeOnnx(graph, options);
      options.signal?.throwIfAborted();
      try {
        const session = await runtime.InferenceSession.create(model, sessionOptions);
        return new OnnxRuntimeSession(graph, session, runtime.Tensor, behaviour);
      } catch (error) {
        throw new DeviceError(`${behaviour.name} refused graph ${graph.name}: ${messageOf(error)}`, { cause: error });
      }
    },
  };
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
    if (this.#released) throw new DeviceError(`graph ${this.#graph.name}: run() after release()`);
    const inputs: Record<string, Tensor> = {};
    for (const { name } of this.#graph.inputs) {
      const feed = feeds[name];
      if (feed === undefined) throw new ArgumentError(`graph ${this.#graph.name}: input ${name} is missing from feeds`);
      inputs[name] = this.#mustCopy(feed) ? this.#copyOf(name, feed, true) : this.#convert(feed);
    }
    const outputs: Record<string, Tensor | null> = {};
    const { writesInPlace } = this.#behaviour;
    for (const [name, fetch] of Object.entries(fetches)) {
      if (!writesInPlace) outputs[name] = null;
      else outputs[name] = this.#mustCopy(fetch) ? this.#copyOf(name, fetch, false) : this.#convert(fetch);
    }
    let results: Record<string, Tensor>;
    try {
      results = await this.#session.run(inputs, outputs);
    } catch (error) {
      const given = Object.entries(feeds).map(([name, feed]) => `${name} ${describeShape(feed.shape)}`);
      throw new DeviceError(
        `${this.#behaviour.name} failed in graph ${this.#graph.name} with ${given.join(', ')}: ${messageOf(error)}`,
        { cause: error },
      );
    }
    for (const [name, fetch] of Object.entries(fetches)) {
      if (!writesInPlace || this.#mustCopy(fetch)) copyInto(fetch, results[name], name);
    }
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#copies.clear();
    await this.#session.release();
  }

  #mustCopy(tensor: HostTensor): boolean {
    return !this.#behaviour.acceptsSharedMemory && isShared(tensor.data);
  }

  #convert(tensor: HostTensor): Tensor {
    let converted = this.#converted.get(tensor);
    if (converted === undefined) {
      converted = new this.#Tensor(tensor.type, tensor.data, tensor.shape);
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
    return new this.#Tensor(tensor.type, part, tensor.shape);
  }
}

function isShared(data: TensorData): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && data.buffer instanceof SharedArrayBuffer;
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
  if (target instanceof BigInt64Array && source instanceof BigInt64Array) target.set(source);
  else if (target instanceof Float32Array && source instanceof Float32Array) target.set(source);
  else if (target instanceof Int32Array && source instanceof Int32Array) target.set(source);
  else if (target instanceof Uint8Array && source instanceof Uint8Array) target.set(source);
  else throw new DeviceError(`value ${name}: expected ${target.constructor.name}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
