/** Attention with all tensors stored in one type, or keys and values alone: what storage.ts times, and measures the error and memory of. */
import { createDevice, type NumberType, type Tensor, toStorage, type WasmDevice } from '../src/attention/index.ts';
import type { NumberArray } from '../src/attention/types.ts';
import { element } from '../src/cli/bench/problem.ts';
import { type BlockMask, compileMask } from '../src/mask/index.ts';
import { window } from '../src/pattern/index.ts';

/** `storage` is that of the keys and values; of the queries, the output and its gradient too unless `keysAlone`. */
export interface Storing {
  readonly storage: NumberType;
  readonly keysAlone: boolean;
}

export interface Shape {
  /** Keys to either side that a query sees. */
  readonly window: number;
  readonly length: number;
  readonly heads: number;
  /** D = E */
  readonly width: number;
  readonly threads: number;
}

/** What is filled in: queries, keys, values, and the gradient of the output. */
const INPUTS = { q: 0, k: 1, v: 2, gradOutput: 3 } as const;

/** The same numbers in float32, before they are rounded to what stores them. */
export function inputNumbers({ length, heads, width }: Shape, which: keyof typeof INPUTS): Tensor {
  const data = new Float32Array(heads * length * width);
  for (let h = 0; h < heads; h++)
    fillHead(data.subarray(h * length * width, (h + 1) * length * width), which, h, width);
  return { data, shape: [1, heads, length, width] };
}

/** One head [N, D]. */
function fillHead(data: Float32Array, which: keyof typeof INPUTS, head: number, width: number): void {
  for (let i = 0; i < data.length; i++) data[i] = element(INPUTS[which], head, Math.floor(i / width), i % width);
}

/** All arrays lie in the kernels' memory, so that no run copies them; nothing is ever there twice, in another type. */
export class StoredAttention implements AsyncDisposable {
  readonly #device: WasmDevice;
  readonly #mask: BlockMask;
  readonly #tensors: Readonly<Record<keyof typeof INPUTS | 'output', Tensor<NumberArray>>>;
  /** Made when they are first wanted. */
  #gradients: Readonly<Record<'gradQ' | 'gradK' | 'gradV', Tensor<NumberArray>>> | undefined;

  private constructor(device: WasmDevice, shape: Shape, { storage, keysAlone }: Storing) {
    this.#device = device;
    const { length, heads, width } = shape;
    this.#mask = compileMask(window(shape.window), { queries: length, keys: length, heads });
    const rest = keysAlone ? 'f32' : storage;
    const input = (which: keyof typeof INPUTS, type: NumberType) => {
      const tensor = this.#empty(shape, type);
      const head = new Float32Array(length * width);
      for (let h = 0; h < heads; h++) {
        fillHead(head, which, h, width);
        const [start, end] = [h * head.length, (h + 1) * head.length];
        if (tensor.data instanceof Uint16Array && type !== 'f32')
          toStorage(head, type, tensor.data.subarray(start, end));
        else if (tensor.data instanceof Float32Array) tensor.data.set(head, start);
      }
      return tensor;
    };
    this.#tensors = {
      q: input('q', rest),
      k: input('k', storage),
      v: input('v', storage),
      gradOutput: input('gradOutput', rest),
      output: this.#empty(shape, rest),
    };
  }

  static async create(shape: Shape, storing: Storing): Promise<StoredAttention> {
    return new StoredAttention(await createDevice({ threads: shape.threads }), shape, storing);
  }

  async forward(signal?: AbortSignal) {
    const { q, k, v, output } = this.#tensors;
    return this.#device.attention({ q, k, v, output, mask: this.#mask, ...(signal ? { signal } : {}) });
  }

  async both(signal?: AbortSignal) {
    const { q, k, v, gradOutput } = this.#tensors;
    const { output, lse } = await this.forward(signal);
    this.#gradients ??= { gradQ: this.#like(q), gradK: this.#like(k), gradV: this.#like(v) };
    const gradients = await this.#device.attentionGradients({
      ...{ q, k, v, output, lse, gradOutput, ...this.#gradients, mask: this.#mask },
      ...(signal ? { signal } : {}),
    });
    return { output, ...gradients };
  }

  #like({ shape, type = 'f32' }: Tensor<NumberArray>): Tensor<NumberArray> {
    const [, heads, length, width] = shape;
    return this.#empty({ heads, length, width }, type);
  }

  #empty({ heads, length, width }: Pick<Shape, 'heads' | 'length' | 'width'>, type: NumberType): Tensor<NumberArray> {
    return { data: this.#device.allocate(heads * length * width, type), type, shape: [1, heads, length, width] };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#device.dispose();
  }
}
