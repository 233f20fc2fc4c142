/**
 * The forward pass of a GPT of src/model/gpt.ts (rms norm, rotary positions, SwiGLU) in a browser: attention and attention weights on
 * the kernels of src/attention, products in product.ts, everything between in TypeScript. Shape letters: N tokens, H heads, G
 * key/value heads, D their width.
 */
import type { SparseWeights, Tensor, WasmDevice } from '../../../../src/attention/index.ts';
import { counted } from '../../../../src/counted.ts';
import { ArgumentError, ModelError } from '../../../../src/errors.ts';
import { compileMask } from '../../../../src/mask/index.ts';
import type { GptConfig } from '../../../../src/model/gpt.ts';
import { addTableRows, matchRows } from '../../../../src/model/latest-matches.ts';
import { causal, intersect, type Pattern } from '../../../../src/pattern/index.ts';
import { createProduct, type Packed, type Product, pack, paddedColumns, paddedRows } from './product.ts';
import { addColumns, copyColumns, gate, lossesOf, rmsNorm, rotaryAngles, rotate } from './rows.ts';

/** What a model is: its configuration, and its parameters by the names of gptSpecifications(). */
export interface ModelFiles {
  readonly config: GptConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** One text through the model. */
export interface TextRun {
  readonly ids: Int32Array;
  /** Of each layer, cut to the past. */
  readonly patterns: readonly Pattern[];
  /** -ln of the probability of token i + 1 after the tokens up to i [N - 1]. */
  readonly losses: Float32Array;
  /** Of each layer: rotated queries [N, H, D] and keys [N, G, D], and the log-sum-exp of the rows [H, N]. */
  readonly layers: readonly { readonly q: Float32Array; readonly k: Float32Array; readonly lse: Float32Array }[];
}

export interface RunOptions {
  readonly onLayer?: (done: number, of: number) => void;
  readonly signal?: AbortSignal;
}

/** As sizesOf() of src/model has them, which would bring the engine for whole graphs with it. */
function sizesOf({
  hiddenSize,
  heads,
  keyValueHeads = heads,
  intermediateSize = 16 * Math.ceil(hiddenSize / 6),
}: GptConfig) {
  const width = hiddenSize / heads;
  return { width, keys: keyValueHeads * width, inner: intermediateSize };
}

interface Layer {
  readonly attentionNorm: Float32Array;
  readonly qkv: Packed;
  readonly output: Packed;
  readonly feedForwardNorm: Float32Array;
  readonly up: Packed;
  readonly down: Packed;
}

export class TextModel {
  readonly config: GptConfig;
  readonly #device: WasmDevice;
  readonly #product: Product;
  readonly #layers: readonly Layer[];
  readonly #embedding: Float32Array;
  readonly #matches: Float32Array | undefined;
  readonly #head: Packed;
  readonly #norm: Float32Array;

  private constructor(
    { config, weights }: ModelFiles,
    device: WasmDevice,
    product: Product,
    place: (name: string, outputs: number, inputs: number) => Packed,
  ) {
    const { hiddenSize, layers, vocabularySize } = config;
    const { keys, inner } = sizesOf(config);
    const vector = (name: string): Float32Array => find(weights, name, hiddenSize);
    this.config = config;
    this.#device = device;
    this.#product = product;
    this.#embedding = find(weights, 'embedding', vocabularySize * hiddenSize);
    const { matches } = config;
    this.#matches = matches && find(weights, 'matches', matches.length * vocabularySize * hiddenSize);
    this.#head = place('embedding', vocabularySize, hiddenSize);
    this.#norm = vector('norm.weight');
    this.#layers = Array.from({ length: layers }, (_, i) => ({
      attentionNorm: vector(`layers.${i}.attention_norm.weight`),
      qkv: place(`layers.${i}.qkv`, hiddenSize + 2 * keys, hiddenSize),
      output: place(`layers.${i}.output`, hiddenSize, hiddenSize),
      feedForwardNorm: vector(`layers.${i}.feed_forward_norm.weight`),
      up: place(`layers.${i}.up`, 2 * inner, hiddenSize),
      down: place(`layers.${i}.down`, hiddenSize, inner),
    }));
  }

  /** Packs the weights into the device's memory, where they stay. @throws ModelError for another architecture or missing weights. */
  static async create(files: ModelFiles, device: WasmDevice): Promise<TextModel> {
    const { activation, normalization, positions = 'rotary' } = files.config;
    if (activation !== 'swiglu' || normalization !== 'rms' || positions !== 'rotary') {
      throw new ModelError(
        `the page runs models with swiglu, rms and rotary; this one has ${activation}, ${normalization} and ${positions}`,
      );
    }
    const product = await createProduct(device.heap.memory);
    return new TextModel(files, device, product, (name, outputs, inputs) => {
      const length = paddedColumns(outputs) * inputs;
      const target = device.allocate(length).fill(0);
      pack(find(files.weights, name, outputs * inputs), outputs, inputs, target);
      return { address: target.byteOffset, outputs, inputs };
    });
  }

  /**
   * Runs a text: layer i has patterns[i % patterns.length], by default those that the model was trained with; cut to the past either way.
   * @throws ArgumentError for fewer than 2 tokens, more than the context, or a token that is none.
   */
  async run(
    ids: Int32Array,
    patterns: readonly Pattern[] = this.config.patterns ?? [],
    { onLayer, signal }: RunOptions = {},
  ): Promise<TextRun> {
    const { hiddenSize, heads, layers, vocabularySize, context, normEpsilon = 1e-5 } = this.config;
    const { width, keys, inner } = sizesOf(this.config);
    const keyValueHeads = keys / width;
    const rows = ids.length;
    if (rows < 2 || rows > context) {
      throw new ArgumentError(`the text has ${counted(rows, 'token')}; the model reads from 2 to ${context}`);
    }
    const stranger = ids.find((id) => !(id >= 0 && id < vocabularySize));
    if (stranger !== undefined) throw new ArgumentError(`${stranger} is not one of the ${vocabularySize} tokens`);
    const seen = Array.from({ length: layers }, (_, i) => {
      const wanted = patterns[i % patterns.length];
      return wanted === undefined ? causal() : intersect(causal(), wanted);
    });
    const masks = new Map<string, ReturnType<typeof compileMask>>();
    for (const one of seen) {
      const key = JSON.stringify(one);
      if (!masks.has(key))
        masks.set(key, compileMask(one, { queries: rows, keys: rows, heads, length: Number.POSITIVE_INFINITY }));
    }
    const angles = rotaryAngles(rows, width, this.config.rotaryBase ?? 10_000);
    const room = new Room(this.#device);
    const x = room.floats(rows, hiddenSize);
    const normed = room.floats(rows, hiddenSize);
    const wide = room.floats(rows, paddedColumns(Math.max(2 * inner, hiddenSize + 2 * keys)));
    const gated = room.floats(rows, inner);
    const [q, attended] = [room.floats(rows, hiddenSize), room.floats(rows, hiddenSize)];
    const [k, v] = [room.floats(rows, keys), room.floats(rows, keys)];
    const tensor = (data: Float32Array, own: number): Tensor => ({
      data: data.subarray(0, rows * own * width),
      shape: [1, rows, own, width],
      layout: 'BNHD',
    });
    try {
      for (let row = 0; row < rows; row++) {
        const start = ids[row] * hiddenSize;
        x.set(this.#embedding.subarray(start, start + hiddenSize), row * hiddenSize);
      }
      const { matches } = this.config;
      if (matches !== undefined && this.#matches !== undefined) {
        const found = matchRows(ids, Int32Array.of(0), matches, vocabularySize);
        addTableRows(this.#matches, found, x.subarray(0, rows * hiddenSize), hiddenSize);
      }
      const kept: { q: Float32Array; k: Float32Array; lse: Float32Array }[] = [];
      for (const [i, layer] of this.#layers.entries()) {
        signal?.throwIfAborted();
        rmsNorm(x, layer.attentionNorm, normEpsilon, rows, normed);
        this.#product(normed.byteOffset, layer.qkv, wide.byteOffset, rows);
        const stride = paddedColumns(layer.qkv.outputs);
        rotate(wide, stride, 0, rows, heads, angles, q);
        rotate(wide, stride, hiddenSize, rows, keyValueHeads, angles, k);
        copyColumns(wide, stride, hiddenSize + keys, rows, keys, v);
        const { lse } = await this.#device.attention({
          q: tensor(q, heads),
          k: tensor(k, keyValueHeads),
          v: tensor(v, keyValueHeads),
          mask: masks.get(JSON.stringify(seen[i])),
          output: tensor(attended, heads),
          ...(signal === undefined ? {} : { signal }),
        });
        kept.push({ q: tensor(q, heads).data.slice(), k: tensor(k, keyValueHeads).data.slice(), lse });
        this.#product(attended.byteOffset, layer.output, wide.byteOffset, rows);
        addColumns(wide, paddedColumns(hiddenSize), rows, hiddenSize, x);
        rmsNorm(x, layer.feedForwardNorm, normEpsilon, rows, normed);
        this.#product(normed.byteOffset, layer.up, wide.byteOffset, rows);
        gate(wide, paddedColumns(2 * inner), rows, inner, gated);
        this.#product(gated.byteOffset, layer.down, wide.byteOffset, rows);
        addColumns(wide, paddedColumns(hiddenSize), rows, hiddenSize, x);
        onLayer?.(i + 1, layers);
        // A macrotask, so that a message that cancels is read between layers.
        await new Promise((resolve) => setTimeout(resolve));
      }
      rmsNorm(x, this.#norm, normEpsilon, rows, normed);
      const logits = room.floats(rows, paddedColumns(vocabularySize));
      this.#product(normed.byteOffset, this.#head, logits.byteOffset, rows);
      return {
        ids,
        patterns: seen,
        losses: lossesOf(logits, paddedColumns(vocabularySize), vocabularySize, ids),
        layers: kept,
      };
    } finally {
      room.free();
    }
  }

  /** The attention weights of one layer of a run: those of `rows`, of all heads. */
  async weights(run: TextRun, layer: number, rows: { readonly start: number; readonly end: number }) {
    const { heads } = await this.#weights(run, layer, run.patterns[layer], rows);
    return heads[0] as readonly SparseWeights[];
  }

  /**
   * The share of each token's attention in `run` that falls on pairs which `pattern` does not allow, [H][N]. 1 less the weights
   * of the allowed pairs, exp(score - lse) with the log-sum-exp of the run.
   */
  async lost(run: TextRun, layer: number, pattern: Pattern): Promise<Float32Array[]> {
    const rows = { start: 0, end: run.ids.length };
    const { heads } = await this.#weights(run, layer, pattern, rows, run.layers[layer].lse);
    return (heads[0] ?? []).map(({ rowStart, values }) =>
      Float32Array.from({ length: rows.end }, (_, row) => {
        let rest = 1;
        for (let pair = rowStart[row]; pair < rowStart[row + 1]; pair++) rest -= values[pair];
        return Math.max(0, rest);
      }),
    );
  }

  #weights(
    { ids, layers }: TextRun,
    layer: number,
    pattern: Pattern,
    rows: { readonly start: number; readonly end: number },
    lse?: Float32Array,
  ) {
    const { heads } = this.config;
    const { width, keys } = sizesOf(this.config);
    const { q, k } = layers[layer];
    const tokens = ids.length;
    return this.#device.attentionWeights({
      q: { data: q, shape: [1, tokens, heads, width], layout: 'BNHD' },
      k: { data: k, shape: [1, tokens, keys / width, width], layout: 'BNHD' },
      mask: compileMask(pattern, { queries: tokens, keys: tokens, heads, length: Number.POSITIVE_INFINITY }),
      rows,
      ...(lse === undefined ? {} : { lse }),
    });
  }
}

/** Arrays in the kernels' memory for one run. */
class Room {
  readonly #device: WasmDevice;
  readonly #arrays: Float32Array[] = [];

  constructor(device: WasmDevice) {
    this.#device = device;
  }

  /** [paddedRows(rows), columns] */
  floats(rows: number, columns: number): Float32Array {
    const array = this.#device.allocate(paddedRows(rows) * columns);
    this.#arrays.push(array);
    return array;
  }

  free(): void {
    for (const array of this.#arrays) this.#device.release(array);
  }
}

function find(weights: ModelFiles['weights'], name: string, length: number): Float32Array {
  const found = weights.get(name);
  if (found?.length === length) return found;
  throw new ModelError(`the weights of ${name} must be ${length} numbers, and are ${found?.length ?? 'missing'}`);
}
