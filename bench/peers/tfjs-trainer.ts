import { FarfieldError } from '../../src/errors.ts';
import { NORM_EPSILON, type Trainer, type TrainingProblem } from './trainer.ts';

interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface Variable extends Tensor {
  assign(value: Tensor): void;
}

/** The part of TensorFlow.js 4.22 that is used here; its own types are there only where bench/peers is installed. */
interface TensorFlow {
  readonly version_core: string;
  setBackend(name: string): Promise<boolean>;
  getBackend(): string;
  env(): { getAsync(flag: string): Promise<boolean> };
  tensor(data: Float32Array | Int32Array, shape: readonly number[], type?: 'int32'): Tensor;
  variable(value: Tensor): Variable;
  tidy<Result>(run: () => Result): Result;
  oneHot(ids: Tensor, depth: number): Tensor;
  cast(x: Tensor, type: 'float32'): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  transpose(x: Tensor, order: readonly number[]): Tensor;
  split(x: Tensor, parts: number, axis: number): Tensor[];
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  add(a: Tensor, b: Tensor | number): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  neg(x: Tensor): Tensor;
  square(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  erf(x: Tensor): Tensor;
  mean(x: Tensor, axis?: number, keepDims?: boolean): Tensor;
  sum(x: Tensor, axis?: number): Tensor;
  softmax(x: Tensor): Tensor;
  logSoftmax(x: Tensor): Tensor;
  readonly train: { sgd(rate: number): { minimize(loss: () => Tensor, returnCost: true): Tensor } };
}

interface WasmBackend {
  setThreadsCount(count: number): void;
  getThreadsCount(): number;
}

export async function openTfjsTrainer(problem: TrainingProblem): Promise<Trainer> {
  const { tf, wasm } = await load();
  wasm.setThreadsCount(problem.threads);
  if (!(await tf.setBackend('wasm'))) throw new FarfieldError('TensorFlow.js did not start its wasm backend');
  const hasVectors = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  const hasThreads = await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT');
  const parameters = new Map(
    [...problem.weights].map(([name, { shape, data }]) => [name, tf.variable(tf.tensor(data, shape))]),
  );
  const loss = lossOf(tf, problem, parameters);
  const optimizer = tf.train.sgd(problem.learningRate);
  return {
    name: 'tfjs',
    about:
      `TensorFlow.js ${tf.version_core}, ${tf.getBackend()} backend, ${hasVectors ? 'with' : 'without'} SIMD, ` +
      `${hasThreads ? wasm.getThreadsCount() : 1} thread${hasThreads ? 's' : ' (it has no more in Node)'}`,
    async step() {
      const cost = optimizer.minimize(loss, true);
      const [value] = await cost.data();
      cost.dispose();
      return value ?? Number.NaN;
    },
    async [Symbol.asyncDispose]() {
      for (const parameter of parameters.values()) parameter.dispose();
    },
  };
}

function lossOf(tf: TensorFlow, problem: TrainingProblem, parameters: ReadonlyMap<string, Tensor>): () => Tensor {
  const { vocabulary, layers, hidden, heads, context, batch } = problem;
  const width = hidden / heads;
  const rows = batch * context;
  const hot = (ids: Int32Array): Tensor => tf.cast(tf.oneHot(tf.tensor(ids, [rows], 'int32'), vocabulary), 'float32');
  // A product with one-hot rows [rows, vocabulary] is the look-up: the gradient of gather has no kernel in the wasm backend.
  const inputs = hot(problem.inputs);
  const targets = hot(problem.targets);
  const hidingFuture = Float32Array.from({ length: context * context }, (_, i) =>
    i % context > Math.floor(i / context) ? -1e9 : 0,
  );
  const mask = tf.tensor(hidingFuture, [1, context, context]);
  const parameter = (name: string): Tensor => {
    const found = parameters.get(name);
    if (found === undefined) throw new FarfieldError(`the weights have no ${name}`);
    return found;
  };
  const linear = (x: Tensor, name: string): Tensor => tf.matMul(x, parameter(name), false, true);
  const norm = (x: Tensor, name: string): Tensor => {
    const centred = tf.sub(x, tf.mean(x, 1, true));
    const deviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), NORM_EPSILON));
    return tf.add(tf.mul(tf.mul(centred, deviation), parameter(`${name}.weight`)), parameter(`${name}.bias`));
  };
  /** [rows, hidden] to [B * H, T, D] */
  const byHead = (x: Tensor): Tensor =>
    tf.reshape(tf.transpose(tf.reshape(x, [batch, context, heads, width]), [0, 2, 1, 3]), [
      batch * heads,
      context,
      width,
    ]);
  const attend = (x: Tensor): Tensor => {
    const [q, k, v] = tf.split(x, 3, 1).map(byHead) as [Tensor, Tensor, Tensor];
    const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width)), mask); // [B * H, T, T]
    const attended = tf.reshape(tf.matMul(tf.softmax(scores), v), [batch, heads, context, width]);
    return tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [rows, hidden]);
  };
  const gelu = (x: Tensor): Tensor => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  return () => {
    const looked = tf.reshape(tf.matMul(inputs, parameter('embedding')), [batch, context, hidden]);
    let x = tf.reshape(tf.add(looked, parameter('positions')), [rows, hidden]);
    for (let i = 0; i < layers; i++) {
      const layer = `layers.${i}`;
      const attended = attend(linear(norm(x, `${layer}.attention_norm`), `${layer}.qkv`));
      x = tf.add(x, linear(attended, `${layer}.output`));
      x = tf.add(x, linear(gelu(linear(norm(x, `${layer}.feed_forward_norm`), `${layer}.up`)), `${layer}.down`));
    }
    const logits = linear(norm(x, 'norm'), 'embedding');
    return tf.mean(tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), targets), 1)));
  };
}

/** By names that TypeScript does not look up: bench/peers is not installed where Farfield is only built and tested. */
async function load(): Promise<{ tf: TensorFlow; wasm: WasmBackend }> {
  const names: readonly [string, string] = ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'];
  try {
    const [tf, wasm] = await Promise.all(names.map((name) => import(name)));
    return { tf: tf.default as TensorFlow, wasm: wasm.default as WasmBackend };
  } catch (cause) {
    throw new FarfieldError(`${names[1]} is not installed; run: npm ci --ignore-scripts --prefix bench/peers`, {
      cause,
    });
  }
}
