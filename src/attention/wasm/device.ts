import { ArgumentError, DeviceError, MemoryError } from '../../errors.ts';
import { BLOCK_SIDE, type BlockMask } from '../../mask/index.ts';
import { checkProblem, type Problem, strides } from '../problem.ts';
import { outputShape } from '../reference.ts';
import type { AttentionOptions, AttentionResult, Tensor } from '../types.ts';
import { candidateBuilds, chooseBuild } from './choose-build.ts';
import { Heap } from './heap.ts';
import { type BlockedPlace, JOB_WORDS, type Job, type PlacedMask, scratchBytes, writeJob } from './job.ts';
import { placeMask } from './mask-upload.ts';
import { type Build, findPlatform, hasSimd } from './platform.ts';
import { Pool } from './pool.ts';

export interface DeviceOptions {
  /** Threads in all. Default: one for each core; 1 where the page is not cross-origin isolated. */
  readonly threads?: number;
  /** Which build of the kernels; default: the fastest that runs here. */
  readonly build?: Build;
  /** Arrays that do not lie in the kernels' memory are copied as a whole up to this many bytes, else one key/value head at a time. Default 1 GiB. */
  readonly copyBytes?: number;
}

/** WebAssembly kernels on threads that start once. Ends with dispose(). */
export class WasmDevice implements AsyncDisposable {
  readonly build: Build;
  readonly threads: number;
  readonly heap: Heap;
  readonly #pool: Pool;
  readonly #copyBytes: number;
  readonly #masks = new WeakMap<BlockMask, PlacedMask>();
  readonly #unused: number[] = [];
  readonly #forgotten = new FinalizationRegistry<number>((address) => this.#unused.push(address));
  #disposed = false;

  private constructor(build: Build, heap: Heap, pool: Pool, copyBytes: number) {
    this.#copyBytes = copyBytes;
    this.build = build;
    this.heap = heap;
    this.#pool = pool;
    this.threads = pool.threads;
  }

  /** @throws DeviceError where the engine lacks SIMD, or the kernels cannot be loaded. */
  static async create({ threads, build, copyBytes = 2 ** 30 }: DeviceOptions = {}): Promise<WasmDevice> {
    if (!hasSimd()) throw new DeviceError('this JavaScript engine has no WebAssembly SIMD, which the kernels need');
    if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1))
      throw new ArgumentError(`createDevice: threads must be a positive integer, got ${threads}`);
    const platform = await findPlatform();
    const candidates = candidateBuilds(platform);
    if (build !== undefined && build !== 'baseline' && !candidates.includes(build))
      throw new DeviceError(`the build "${build}" does not run here; these do: baseline, ${candidates.join(', ')}`);
    const heap = new Heap();
    const chosen = await chooseBuild(platform, heap, build ? [build] : candidates);
    const pool = await Pool.start(platform, heap, chosen.module, threads ?? platform.cores);
    return new WasmDevice(chosen.build, heap, pool, copyBytes);
  }

  /**
   * An array in the kernels' memory, which attention() reads and writes without a copy. Give it back with release().
   * @throws MemoryError
   */
  allocate(floats: number): Float32Array {
    return this.heap.floats(this.heap.allocate(4 * floats), floats) as Float32Array;
  }

  release(array: Float32Array): void {
    const address = this.heap.addressOf(array);
    if (address === undefined) throw new ArgumentError('release: the array was not made by allocate()');
    this.heap.free(address);
  }

  async attention(options: AttentionOptions): Promise<AttentionResult> {
    if (this.#disposed) throw new DeviceError('attention: the device was disposed');
    options.signal?.throwIfAborted();
    const problem = checkProblem(options);
    const { batch, heads, queries } = problem;
    const output = options.output ?? makeOutput(options);
    checkOutput(output, options);
    const lse = new Float32Array(batch * heads * queries).fill(-Infinity);
    if (problem.keyValueHeads > 0 && output.data.length > 0) {
      await this.#run(problem, options, output, lse);
    }
    return { output, lse };
  }

  /** Runs a job whose data all lies in the heap. */
  async run(job: Job, signal?: AbortSignal): Promise<void> {
    const address = this.heap.allocate(4 * JOB_WORDS);
    writeJob(this.heap.words(address, JOB_WORDS), job);
    try {
      await this.#pool.run(address, scratchBytes(job.queryWidth, job.valueWidth), signal);
    } finally {
      if (!this.#disposed) this.heap.free(address);
    }
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#pool.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #run(problem: Problem, options: AttentionOptions, output: Tensor, lse: Float32Array): Promise<void> {
    const { q, k, v } = options;
    const { batch, keyValueHeads } = problem;
    const copied = [q, k, v, output].filter(({ data }) => this.heap.addressOf(data) === undefined);
    const bytes = copied.reduce((sum, { data }) => sum + data.byteLength, 0) + lse.byteLength;
    const parts = bytes > this.#copyBytes ? batch * keyValueHeads : 1;
    const mask = this.#placed(problem.mask);
    const perPart = bytes / parts;
    if (perPart > this.heap.available) {
      throw new MemoryError(
        `attention: the kernels' memory needs ${Math.ceil(perPart / 2 ** 20)} MiB for one head and has ` +
          `${Math.floor(this.heap.available / 2 ** 20)} MiB left of 4096 MiB; use fewer rows at a time`,
        perPart,
        this.heap.available,
      );
    }
    for (let part = 0; part < parts; part++) {
      const whole = parts === 1;
      await this.#runPart(
        problem,
        options,
        output,
        lse,
        mask,
        whole ? { batch: 0, batches: batch, group: 0, groups: keyValueHeads } : onePart(part, keyValueHeads),
      );
    }
  }

  async #runPart(
    problem: Problem,
    { q, k, v, signal }: AttentionOptions,
    output: Tensor,
    lse: Float32Array,
    mask: PlacedMask,
    part: Part,
  ): Promise<void> {
    const { queries, queryWidth, valueWidth, heads, keyValueHeads, sinkLogits } = problem;
    const perGroup = heads / keyValueHeads;
    const [head, count] = [part.group * perGroup, part.groups * perGroup];
    const allocated: number[] = [];
    const allocate = (bytes: number) => {
      const address = this.heap.allocate(bytes);
      allocated.push(address);
      return address;
    };
    const place = (tensor: Tensor, firstHead: number, headCount: number, copy: boolean): BlockedPlace => {
      const at = strides(tensor);
      const rows = tensor.layout === 'BNHD' ? tensor.shape[1] : tensor.shape[2];
      const width = tensor.shape[3];
      const address = this.heap.addressOf(tensor.data);
      const start = part.batch * at.batch + firstHead * at.head;
      if (address !== undefined) {
        return {
          address: address + 4 * start,
          batch: 4 * at.batch,
          head: 4 * at.head,
          row: 4 * at.row,
          block: 4 * at.row * BLOCK_SIDE,
        };
      }
      const own = allocate(4 * part.batches * headCount * rows * width);
      if (headCount * rows * width === at.batch) {
        if (copy)
          this.heap
            .floats(own, part.batches * at.batch)
            .set(tensor.data.subarray(start, start + part.batches * at.batch));
        return {
          address: own,
          batch: 4 * at.batch,
          head: 4 * at.head,
          row: 4 * at.row,
          block: 4 * at.row * BLOCK_SIDE,
        };
      }
      if (copy) {
        const to = this.heap.floats(own, headCount * rows * width);
        eachHeadRow(tensor, start, headCount, (from, length, index) =>
          to.set(tensor.data.subarray(from, from + length), index),
        );
      }
      return { address: own, batch: 0, head: 4 * rows * width, row: 4 * width, block: 4 * width * BLOCK_SIDE };
    };
    try {
      const lseLength = part.batches * count * queries;
      const lseAddress = allocate(4 * lseLength);
      const sinks = sinkLogits ? allocate(4 * count) : 0;
      if (sinkLogits) this.heap.floats(sinks, count).set(sinkLogits.subarray(head, head + count));
      const placedOutput = place(output, head, count, false);
      const placedHeads = { ...mask, heads: mask.heads + 4 * head };
      await this.run(
        {
          batch: part.batches,
          heads: count,
          keyValueHeads: part.groups,
          queries,
          queryWidth,
          valueWidth,
          q: place(q, head, count, true),
          k: place(k, part.group, part.groups, true),
          v: place(v, part.group, part.groups, true),
          output: placedOutput,
          lse: lseAddress,
          scale: problem.scale,
          ...(problem.softcap === undefined ? {} : { softcap: problem.softcap }),
          sinkLogits: sinks,
          mask: placedHeads,
        },
        signal,
      );
      lse.set(this.heap.floats(lseAddress, lseLength), (part.batch * heads + head) * queries);
      if (this.heap.addressOf(output.data) === undefined) {
        const at = strides(output);
        const start = part.batch * at.batch + head * at.head;
        const size = count * queries * valueWidth;
        const from = this.heap.floats(placedOutput.address, part.batches * size);
        if (size === at.batch) output.data.set(from, start);
        else
          eachHeadRow(output, start, count, (to, length, index) =>
            output.data.set(from.subarray(index, index + length), to),
          );
      }
    } finally {
      for (const address of allocated) this.heap.free(address);
    }
  }

  #placed(mask: BlockMask): PlacedMask {
    for (const address of this.#unused.splice(0)) this.heap.free(address);
    let placed = this.#masks.get(mask);
    if (!placed) {
      const { address, ...rest } = placeMask(this.heap, mask);
      placed = rest;
      this.#masks.set(mask, placed);
      this.#forgotten.register(mask, address);
    }
    return placed;
  }
}

interface Part {
  readonly batch: number;
  readonly batches: number;
  readonly group: number;
  readonly groups: number;
}

function onePart(part: number, groups: number): Part {
  return { batch: Math.floor(part / groups), batches: 1, group: part % groups, groups: 1 };
}

/** Contiguous runs of `headCount` heads that start at `start`: their place in the tensor, length, and place in [heads, rows, width]. */
function eachHeadRow(
  tensor: Tensor,
  start: number,
  headCount: number,
  visit: (at: number, length: number, index: number) => void,
): void {
  const { head, row } = strides(tensor);
  const width = tensor.shape[3];
  const rows = tensor.layout === 'BNHD' ? tensor.shape[1] : tensor.shape[2];
  for (let h = 0; h < headCount; h++) {
    if (row === width) visit(start + h * head, rows * width, h * rows * width);
    else for (let i = 0; i < rows; i++) visit(start + h * head + i * row, width, (h * rows + i) * width);
  }
}

function makeOutput(options: AttentionOptions): Tensor {
  const shape = outputShape(options);
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  return { data, shape, layout: options.q.layout ?? 'BHND' };
}

function checkOutput(output: Tensor, options: AttentionOptions): void {
  const shape = outputShape(options);
  const layout = options.q.layout ?? 'BHND';
  const count = shape.reduce((product, size) => product * size, 1);
  if (output.shape.join() !== shape.join() || (output.layout ?? 'BHND') !== layout || output.data.length !== count) {
    throw new ArgumentError(
      `attention: output must be [${shape.join(', ')}] in the layout of q (${layout}), ` +
        `got [${output.shape.join(', ')}] ${output.layout ?? 'BHND'} with ${output.data.length} numbers`,
    );
  }
}
