import { counted } from '../../counted.ts';
import { ArgumentError, DeviceError, MemoryError } from '../../errors.ts';
import { checkProblem, maskOfEntry, type Problem } from '../problem.ts';
import { outputShape } from '../reference.ts';
import type { Expression } from '../score/index.ts';
import { type AttentionWeights, checkWeights, emptyWeights, type WeightsOptions } from '../sparse-weights.ts';
import { bitsOf, emptyTensor, NUMBER_BYTES, numberType } from '../storage.ts';
import type {
  AnyAttentionOptions,
  AnyGradientOptions,
  AttentionGradients,
  AttentionOptions,
  AttentionResult,
  GradientOptions,
  NumberArray,
  NumberType,
  Tensor,
} from '../types.ts';
import { Arena, type Part, roundingJob } from './arena.ts';
import { runBackward, whereGradientsGrow } from './backward.ts';
import { candidateBuilds, chooseBuild } from './choose-build.ts';
import { Heap } from './heap.ts';
import { type Job, scratchBytes, wordCount, writeJobs } from './job.ts';
import { placeModifier } from './modifier.ts';
import { ParameterGradients } from './parameter-gradients.ts';
import { PlacedMasks, type PlacedPass } from './passes.ts';
import { type Build, findPlatform, hasSimd, PANELS, type Platform } from './platform.ts';
import { Pool } from './pool.ts';
import { compileScore } from './score/compile.ts';
import { runWeights } from './weights.ts';

export interface DeviceOptions {
  /** Threads in all. Default: one for each core; 1 where the page is not cross-origin isolated. */
  readonly threads?: number;
  /** Which build of the kernels; default: the fastest that runs here. */
  readonly build?: Build;
  /** Arrays that do not lie in the kernels' memory are copied as a whole up to this many bytes, else one key/value head at a time. Default 1 GiB. */
  readonly copyBytes?: number;
  /**
   * Scattered patterns are computed in an order of tokens in which their blocks fill up (arrangeMask) where that saves this share of
   * the work. Default 0.2; 1: never.
   */
  readonly leastGain?: number;
}

/** WebAssembly kernels on threads that start once. Ends with dispose(). */
export class WasmDevice implements AsyncDisposable {
  readonly build: Build;
  readonly threads: number;
  readonly heap: Heap;
  readonly #platform: Platform;
  readonly #pool: Pool;
  /** By the JSON of an expression: the number of the kernel's instance that is linked with it. */
  readonly #instances = new Map<string, Promise<number>>();
  readonly #copyBytes: number;
  readonly #masks: PlacedMasks;
  #disposed = false;

  private constructor(
    platform: Platform,
    build: Build,
    heap: Heap,
    pool: Pool,
    { copyBytes = 2 ** 30, leastGain }: DeviceOptions,
  ) {
    this.#platform = platform;
    this.#copyBytes = copyBytes;
    this.#masks = new PlacedMasks(heap, leastGain);
    this.build = build;
    this.heap = heap;
    this.#pool = pool;
    this.threads = pool.threads;
  }

  /** @throws DeviceError where the engine lacks SIMD, or the kernels cannot be loaded. */
  static async create(options: DeviceOptions = {}): Promise<WasmDevice> {
    const { threads, build } = options;
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
    return new WasmDevice(platform, chosen.build, heap, pool, options);
  }

  /**
   * An array in the kernels' memory, which attention() reads and writes without a copy; of f16 and bf16 the bits. Give it back with
   * release().
   * @throws MemoryError
   */
  allocate(count: number): Float32Array;
  allocate<Type extends NumberType>(count: number, type: Type): Type extends 'f32' ? Float32Array : Uint16Array;
  allocate(count: number, type: NumberType = 'f32'): Float32Array | Uint16Array {
    if (!(type in NUMBER_BYTES))
      throw new ArgumentError(`allocate: type must be 'f32', 'f16' or 'bf16', got '${type}'`);
    const address = this.heap.allocate(NUMBER_BYTES[type] * count);
    return type === 'f32' ? this.heap.floats(address, count) : this.heap.halves(address, count);
  }

  release(array: NumberArray): void {
    const address = this.heap.addressOf(bitsOf(array));
    if (address === undefined) throw new ArgumentError('release: the array was not made by allocate()');
    this.heap.free(address);
  }

  /** See attention(). */
  attention<
    Q extends NumberArray = Float32Array,
    K extends NumberArray = Q,
    V extends NumberArray = K,
    O extends NumberArray = Q,
  >(options: AttentionOptions<Q, K, V, O>): Promise<AttentionResult<O>>;
  async attention(options: AnyAttentionOptions): Promise<AttentionResult<NumberArray>> {
    const problem = this.#begin('attention', options);
    const output = options.output ?? emptyTensor(options.q, outputShape(options));
    checkLike('output', output, outputShape(options), options.q.layout);
    const lse = new Float32Array(problem.batch * problem.heads * problem.queries).fill(-Infinity);
    const { q, k, v, signal } = options;
    if (problem.keyValueHeads > 0 && output.data.length > 0) {
      const passes = this.#masks.passes(problem);
      const tensors = { inputs: [q, k, v], results: [output] };
      await this.#eachPart('attention', problem, passes, tensors, async (jobs, arena, part, heads) => {
        const { first, count } = heads;
        const lseAddress = arena.numbersOut(
          lse,
          (part.batch * problem.heads + first) * problem.queries,
          part.batches * count * problem.queries,
        );
        const result = arena.output(output, first, count);
        const several = jobs.some(({ pass }) => pass);
        const places = {
          q: arena.input(q, first, count),
          k: arena.input(k, part.group, part.groups),
          v: arena.input(v, part.group, part.groups),
          output: several ? arena.sums(result, count, problem.queries, problem.valueWidth) : result,
          lse: lseAddress,
        };
        const passes = jobs.map((job) => ({ ...job, ...places }));
        await this.runPasses(passes, signal);
        for (const job of arena.roundings()) await this.run(job, signal);
      });
    }
    return { output, lse };
  }

  /** See attentionGradients(). */
  attentionGradients<Q extends NumberArray = Float32Array, K extends NumberArray = Q, V extends NumberArray = K>(
    options: GradientOptions<Q, K, V, NumberArray, NumberArray>,
  ): Promise<AttentionGradients<Q, K, V>>;
  async attentionGradients(
    options: AnyGradientOptions,
  ): Promise<AttentionGradients<NumberArray, NumberArray, NumberArray>> {
    const problem = this.#begin('attentionGradients', options);
    const { q, k, v, output, gradOutput, lse, gradLse } = options;
    const { batch, heads, queries, sinkLogits } = problem;
    checkLike('output', output, outputShape(options), q.layout);
    checkLike('gradOutput', gradOutput, outputShape(options), q.layout);
    for (const [name, rows] of [
      ['lse', lse],
      ['gradLse', gradLse],
    ] as const) {
      if (rows !== undefined && rows.length !== batch * heads * queries)
        throw new ArgumentError(
          `attentionGradients: ${name} must be [${batch}, ${heads}, ${queries}], got ${counted(rows.length, 'number')}`,
        );
    }
    const gradQ = options.gradQ ?? emptyTensor(q, q.shape);
    const gradK = options.gradK ?? emptyTensor(k, k.shape);
    const gradV = options.gradV ?? emptyTensor(v, v.shape);
    checkLike('gradQ', gradQ, q.shape, q.layout);
    checkLike('gradK', gradK, k.shape, k.layout);
    checkLike('gradV', gradV, v.shape, v.layout);
    const gradSinkLogits = sinkLogits ? new Float32Array(heads) : undefined;
    const sums = new ParameterGradients(problem);
    if (problem.keyValueHeads > 0) {
      const passes = this.#masks.passes(problem);
      const made = whereGradientsGrow(passes, [gradQ, gradK, gradV], [q, k, v]);
      const targets = { made, gradSinkLogits, sums };
      const tensors = { inputs: [q, k, v, output, gradOutput], results: made };
      await this.#eachPart('attentionGradients', problem, passes, tensors, (jobs, arena, part, range) =>
        runBackward(this, problem, options, targets, { jobs, arena, part, range }),
      );
      for (const [i, { data }] of [gradQ, gradK, gradV].entries()) {
        if (made[i].data !== data) bitsOf(data).set(bitsOf(made[i].data));
      }
    }
    const gradParameters = sums.rounded();
    return {
      gradQ,
      gradK,
      gradV,
      ...(gradSinkLogits ? { gradSinkLogits } : {}),
      ...(gradParameters ? { gradParameters } : {}),
    };
  }

  /** See attentionWeights(). */
  async attentionWeights(options: WeightsOptions): Promise<AttentionWeights> {
    const { q, k, v = k, dropout: _, output: __, ...others }: AnyAttentionOptions = { v: options.k, ...options };
    const problem = this.#begin('attentionWeights', { ...others, q, k, v });
    const rows = checkWeights(problem, options);
    const weights = emptyWeights(problem, rows, options.maximumBytes ?? this.#platform.availableBytes());
    if (problem.keyValueHeads > 0) {
      const passes = this.#masks.whole(problem.mask);
      await this.#eachPart(
        'attentionWeights',
        problem,
        passes,
        { inputs: [q, k], results: [] },
        ([job], arena, part, range) =>
          runWeights(this, problem, options, weights, this.#copyBytes, { job, arena, part, range }),
      );
    }
    return weights;
  }

  /**
   * Writes rows [rows, width] of 16 bits as f32, or of f32 rounded to 16 bits, ties to even, on all threads. Arrays made by allocate() are
   * not copied, but what is rounded is then lost: `from` is undefined after it.
   */
  async convert(
    from: Pick<Tensor<NumberArray>, 'data' | 'type'>,
    to: Pick<Tensor<NumberArray>, 'data' | 'type'>,
    width: number,
  ): Promise<void> {
    const rows = from.data.length / width;
    if (!Number.isInteger(rows) || to.data.length !== from.data.length) {
      throw new ArgumentError(
        `convert: from has ${counted(from.data.length, 'number')} and to ${to.data.length}; both must have the same rows of ${width}`,
      );
    }
    const types = [numberType('from', from as Tensor<NumberArray>), numberType('to', to as Tensor<NumberArray>)];
    if (types.filter((type) => type === 'f32').length !== 1)
      throw new ArgumentError(`convert: one of the types must be f32, they are ${types.join(' and ')}`);
    if (rows === 0) return;
    const shape = [1, rows, 1, width] as const;
    const arena = new Arena(this.heap, { batch: 0, batches: 1, group: 0, groups: 1 });
    try {
      const source = arena.input({ ...from, shape, layout: 'BNHD' }, 0, 1);
      const target = arena.output({ ...to, shape, layout: 'BNHD' }, 0, 1);
      const floats = types[0] === 'f32' ? source : target;
      await this.run({ ...roundingJob(1, 1, rows, width), q: source, k: floats, v: floats, output: target });
      arena.finish();
    } finally {
      if (!this.#disposed) arena.free();
    }
  }

  /** Runs a job whose data all lies in the heap. */
  run(job: Job, signal?: AbortSignal): Promise<void> {
    return this.runPasses([job], signal);
  }

  /** Runs jobs that are passes over the same queries: a head's tasks of a pass as soon as the head is done in the pass before. */
  async runPasses(jobs: readonly Job[], signal?: AbortSignal): Promise<void> {
    const count = wordCount(jobs);
    const address = this.heap.allocate(4 * count);
    writeJobs(this.heap.words(address, count), jobs);
    try {
      await this.#pool.run(address, Math.max(...jobs.map(scratchBytes)), signal, jobs[0].modifier?.instance);
    } finally {
      if (!this.#disposed) this.heap.free(address);
    }
  }

  /** The number of the kernel's instance that modifies scores by an expression, linked at the first call for it. */
  instance(expression: Expression): Promise<number> {
    const key = JSON.stringify(expression);
    let instance = this.#instances.get(key);
    if (!instance) {
      const link = async () => {
        const { bytes } = compileScore(expression, PANELS[this.build]);
        return this.#pool.link(await this.#platform.compileBytes(bytes));
      };
      instance = link();
      this.#instances.set(key, instance);
      instance.catch(() => this.#instances.delete(key));
    }
    return instance;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#pool.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #begin(name: string, options: AnyAttentionOptions): Problem {
    if (this.#disposed) throw new DeviceError(`${name}: the device was disposed`);
    options.signal?.throwIfAborted();
    return checkProblem(options);
  }

  /** As one part where the arrays that must be copied are small enough, else one part for each key/value head; a job for each pass. */
  async #eachPart(
    name: string,
    problem: Problem,
    passes: readonly PlacedPass[],
    { inputs, results }: Readonly<Record<'inputs' | 'results', readonly Tensor<NumberArray>[]>>,
    compute: (jobs: readonly JobBase[], arena: Arena, part: Part, heads: HeadRange) => Promise<void>,
  ): Promise<void> {
    const { batch, keyValueHeads, heads, sinkLogits, score, dropout } = problem;
    const instance = score && (await this.instance(score.expression));
    const copied = [...inputs, ...results].filter(({ data }) => this.heap.addressOf(bitsOf(data)) === undefined);
    // Several passes sum up in f32 what is then rounded.
    const summed = passes.some(({ pass }) => pass) ? results.filter(({ data }) => !(data instanceof Float32Array)) : [];
    const bytes =
      copied.reduce((sum, { data }) => sum + data.byteLength, 0) +
      summed.reduce((sum, { data }) => sum + NUMBER_BYTES.f32 * data.length, 0);
    // The kernel's table of heads is for one batch entry: where entries have masks of their own, each is a job.
    const whole = problem.mask.batch ? batch : 1;
    const count = bytes > this.#copyBytes * whole ? batch * keyValueHeads : whole;
    if (bytes / count > this.heap.available) {
      throw new MemoryError(
        `${name}: the kernels' memory needs ${Math.ceil(bytes / count / 2 ** 20)} MiB for one head and has ` +
          `${Math.floor(this.heap.available / 2 ** 20)} MiB left of 4096 MiB; use fewer rows at a time`,
        bytes / count,
        this.heap.available,
      );
    }
    const perGroup = heads / keyValueHeads;
    for (let i = 0; i < count; i++) {
      const part =
        count === 1
          ? { batch: 0, batches: batch, group: 0, groups: keyValueHeads }
          : count === batch
            ? { batch: i, batches: 1, group: 0, groups: keyValueHeads }
            : { batch: Math.floor(i / keyValueHeads), batches: 1, group: i % keyValueHeads, groups: 1 };
      const range = { first: part.group * perGroup, count: part.groups * perGroup };
      const arena = new Arena(this.heap, part);
      try {
        const shared: Omit<JobBase, 'mask' | 'blocks'> = {
          batch: part.batches,
          heads: range.count,
          keyValueHeads: part.groups,
          queries: problem.queries,
          keys: problem.keys,
          queryWidth: problem.queryWidth,
          valueWidth: problem.valueWidth,
          scale: problem.scale,
          ...(problem.softcap === undefined ? {} : { softcap: problem.softcap }),
          sinkLogits: arena.numbers(sinkLogits?.subarray(range.first, range.first + range.count)),
          origin: { batch: part.batch, head: range.first, queryOffset: problem.mask.queryOffset },
          ...(score && instance
            ? { modifier: { instance, parameters: placeModifier(arena, score, problem.mask.queryOffset) } }
            : {}),
          ...(dropout ? { dropout } : {}),
        };
        // The table has one address for each head; the part's begins at its first.
        const firstHead = range.first + (problem.mask.batch ? part.batch * heads : 0);
        const jobs = passes.map(
          ({ mask, blocks, pass }): JobBase => ({
            ...shared,
            mask: { ...mask, heads: mask.heads + 4 * firstHead },
            blocks: pass ? blocks : maskOfEntry(problem, part.batch),
            // The sink is in the softmax once.
            ...(pass ? { pass, sinkLogits: pass.isLater ? 0 : shared.sinkLogits } : {}),
          }),
        );
        await compute(jobs, arena, part, range);
        arena.finish();
      } finally {
        if (!this.#disposed) arena.free();
      }
    }
  }
}

/** A job without the places of its tensors, and the blocks of its mask. */
export interface JobBase extends Omit<Job, 'q' | 'k' | 'v' | 'output' | 'lse'> {
  readonly blocks: PlacedPass['blocks'];
}

/** Query heads of a part. */
export interface HeadRange {
  readonly first: number;
  readonly count: number;
}

function checkLike(
  name: string,
  tensor: Tensor<NumberArray>,
  shape: Tensor['shape'],
  layout: Tensor['layout'] = 'BHND',
): void {
  numberType(name, tensor);
  const count = shape.reduce((product, size) => product * size, 1);
  const own = tensor.layout ?? 'BHND';
  if (tensor.shape.join() !== shape.join() || own !== layout || tensor.data.length !== count) {
    throw new ArgumentError(
      `attention: ${name} must be [${shape.join(', ')}] in the layout of q (${layout}), ` +
        `got [${tensor.shape.join(', ')}] ${own} with ${counted(tensor.data.length, 'number')}`,
    );
  }
}
