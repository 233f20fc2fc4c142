import { availableMemory } from 'node:process';
import { ArgumentError, MemoryError } from '../../errors.ts';
import {
  add,
  createNodeBackend,
  GraphBuilder,
  type HostTensor,
  matmul,
  reshape,
  scaleBy,
  softmax,
  transpose,
  type Value,
} from '../../graph/index.ts';
import { BLOCK_SIDE, type BlockMask, FULL_BLOCK } from '../../mask/index.ts';
import { formatBytes } from '../format.ts';
import { type Contender, type ContenderFactory, compileProblem, fill, type Problem } from './problem.ts';

const T = BLOCK_SIDE;
/** Added to the score of a pair that is not allowed; a row of only these still has a finite softmax. */
const FORBIDDEN = -1e30;

/**
 * The pattern in standard operators: for each query block its key and value blocks are gathered beside each other, then
 * MatMul, an additive mask, Softmax, MatMul. Every query block gets as many key blocks as the fullest one.
 */
export const onnxruntimeGather: ContenderFactory = {
  name: 'onnxruntime-gather',
  what: 'onnxruntime-node, gathered blocks, MatMul, Softmax, MatMul',
  sparse: true,
  async prepare(problem: Problem): Promise<Contender> {
    const { heads, length, width, threads } = problem;
    const plan = planGather(compileProblem(problem), problem);
    const { blocks, kept } = plan;

    const graph = new GraphBuilder('gathered attention');
    const shape = [heads, blocks, T * width];
    const q = graph.input('q', 'float32', shape);
    const k = graph.input('k', 'float32', shape);
    const v = graph.input('v', 'float32', shape);
    const index = graph.initializer('index', 'int64', [blocks, kept], () => plan.index);
    const bias = graph.initializer('bias', 'float32', [blocks, T, kept * T], () => plan.bias);
    const gathered = (x: Value): Value => {
      const node = { operator: 'Gather', inputs: [x, index], attributes: { axis: { type: 'int', value: 1 } } } as const;
      const rows = graph.op1(node, 'float32', [heads, blocks, kept, T * width]);
      return reshape(graph, rows, [heads, blocks, kept * T, width]);
    };
    const scaled = scaleBy(graph, reshape(graph, q, [heads, blocks, T, width]), 1 / Math.sqrt(width));
    const scores = add(graph, matmul(graph, scaled, transpose(graph, gathered(k), [0, 1, 3, 2])), bias);
    graph.output(matmul(graph, softmax(graph, scores), gathered(v)), 'output');
    const session = await (await createNodeBackend({ threads, memoryArena: true })).compile(graph.build());

    const rows = blocks * T;
    const tensor = (dimensions: readonly number[]): HostTensor & { type: 'float32' } => ({
      type: 'float32',
      shape: dimensions,
      data: new Float32Array(heads * rows * width),
    });
    const feeds = { q: tensor(shape), k: tensor(shape), v: tensor(shape) };
    const output = tensor([heads, blocks, T, width]);
    for (const [which, { data }] of Object.values(feeds).entries()) fill(data, which, problem, { rows });
    return {
      run: () => session.run(feeds, { output }),
      at: (h, i, d) => (i < length ? output.data[(h * rows + i) * width + d] : undefined) ?? Number.NaN,
      [Symbol.asyncDispose]: () => session.release(),
    };
  },
};

interface GatherPlan {
  /** Query blocks, and key blocks. */
  readonly blocks: number;
  /** Key blocks for each query block. */
  readonly kept: number;
  /** [blocks, kept]: which key blocks. */
  readonly index: BigInt64Array;
  /** [blocks, T, kept * T]: 0 for an allowed pair, else FORBIDDEN. */
  readonly bias: Float32Array;
}

function planGather(mask: BlockMask, problem: Problem): GatherPlan {
  const [rows, ...others] = mask.rows;
  if (rows === undefined || others.length > 0) {
    throw new ArgumentError('onnxruntime-gather takes one pattern for all heads; compare it without perHead ("|")');
  }
  const { rowStart, column, bitmap } = rows;
  const blocks = rowStart.length - 1;
  let kept = 1;
  for (let i = 0; i < blocks; i++) kept = Math.max(kept, at(rowStart, i + 1) - at(rowStart, i));
  checkMemory(problem, blocks, kept);
  const index = new BigInt64Array(blocks * kept);
  const bias = new Float32Array(blocks * T * kept * T).fill(FORBIDDEN);
  for (let i = 0; i < blocks; i++) {
    const first = at(rowStart, i);
    for (let entry = first; entry < at(rowStart, i + 1); entry++) {
      const slot = entry - first;
      index[i * kept + slot] = BigInt(at(column, entry));
      const words = bitmap[entry] === FULL_BLOCK ? undefined : (bitmap[entry] ?? 0) * ((T * T) / 32);
      for (let q = 0; q < T; q++) {
        const start = ((i * T + q) * kept + slot) * T;
        if (words === undefined) bias.fill(0, start, start + T);
        else for (let k = 0; k < T; k++) if (isSet(mask.bitmaps, words, q * T + k)) bias[start + k] = 0;
      }
    }
  }
  return { blocks, kept, index, bias };
}

function isSet(bitmaps: Uint32Array, word: number, bit: number): boolean {
  return ((at(bitmaps, word + (bit >>> 5)) >>> (bit & 31)) & 1) === 1;
}

function at(array: Uint32Array, i: number): number {
  return array[i] ?? 0;
}

/** The gathered keys and values, the keys' transpose, and two copies of the scores live at the same time; and the mask. */
function checkMemory({ heads, width }: Problem, blocks: number, kept: number): void {
  const rows = blocks * kept * T;
  const needed = 4 * rows * (heads * (3 * width + 2 * T) + T);
  const available = availableMemory();
  if (needed > available) {
    throw new MemoryError(
      `onnxruntime-gather needs ${formatBytes(needed)} here and ${formatBytes(available)} is free; ` +
        'choose a shorter length, or leave it out of --compare',
      needed,
      available,
    );
  }
}
