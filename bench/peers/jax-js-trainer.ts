import { FarfieldError } from '../../src/errors.ts';
import { NORM_EPSILON, type Trainer, type TrainingProblem } from './trainer.ts';

/** A function takes over what it is given; `ref` keeps it for one more use. */
interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  sum(axis?: number): JaxArray;
  mean(axis?: number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(): JaxArray;
  data(): Promise<Float32Array>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}

type Weights = Record<string, JaxArray>;

/** The part of jax-js 0.1 that is used here; its own types are there only where bench/peers is installed. */
interface Jax {
  init(device: 'wasm'): Promise<string[]>;
  defaultDevice(device: 'wasm'): string;
  readonly numpy: {
    array(data: Float32Array | Int32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    split(x: JaxArray, parts: number, axis: number): JaxArray[];
  };
  readonly nn: {
    oneHot(ids: JaxArray, classes: number): JaxArray;
    gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
    standardize(x: JaxArray, axis: number, options: { epsilon: number }): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray, options: { isCausal: boolean }): JaxArray;
  };
  jit<F>(run: F): F;
  valueAndGrad(
    loss: (weights: Weights, inputs: JaxArray, targets: JaxArray) => JaxArray,
  ): (weights: Weights, inputs: JaxArray, targets: JaxArray) => [JaxArray, Weights];
}

export async function openJaxTrainer(problem: TrainingProblem): Promise<Trainer> {
  const jax = await load();
  await jax.init('wasm');
  jax.defaultDevice('wasm');
  const { vocabulary, learningRate } = problem;
  const hot = (ids: Int32Array): JaxArray => jax.nn.oneHot(jax.numpy.array(ids), vocabulary);
  const inputs = hot(problem.inputs);
  const targets = hot(problem.targets);
  let weights: Weights = Object.fromEntries(
    [...problem.weights].map(([name, { shape, data }]) => [name, jax.numpy.array(data.slice()).reshape(shape)]),
  );
  const gradient = jax.valueAndGrad(lossOf(jax, problem));
  const update = jax.jit((old: Weights, from: JaxArray, to: JaxArray): [JaxArray, Weights] => {
    const kept = Object.entries(old).map(([name, weight]): [string, JaxArray] => [name, weight.ref]);
    const [loss, gradients] = gradient(old, from, to);
    const changed = kept.map(([name, weight]): [string, JaxArray] => {
      const slope = gradients[name];
      if (slope === undefined) throw new FarfieldError(`jax-js gave no gradient of ${name}`);
      return [name, weight.sub(slope.mul(learningRate))];
    });
    return [loss, Object.fromEntries(changed)];
  });
  const workers = typeof Worker === 'undefined' ? '1 thread (it has no more in Node)' : 'threads of its own choice';
  return {
    name: 'jax-js',
    about: `jax-js, wasm backend, the whole step under jit(), ${workers}`,
    async step() {
      const [loss, changed] = update(weights, inputs.ref, targets.ref);
      weights = changed;
      for (const weight of Object.values(weights)) await weight.blockUntilReady();
      const [value] = await loss.data();
      return value ?? Number.NaN;
    },
    async [Symbol.asyncDispose]() {
      for (const array of [...Object.values(weights), inputs, targets]) array.dispose();
    },
  };
}

function lossOf({ numpy: np, nn }: Jax, problem: TrainingProblem) {
  const { layers, hidden, heads, context, batch } = problem;
  const width = hidden / heads;
  const rows = batch * context;
  return (weights: Weights, inputs: JaxArray, targets: JaxArray): JaxArray => {
    const parameter = (name: string): JaxArray => {
      const found = weights[name];
      if (found === undefined) throw new FarfieldError(`the weights have no ${name}`);
      return found;
    };
    const linear = (x: JaxArray, name: string): JaxArray => np.matmul(x, parameter(name).transpose());
    const norm = (x: JaxArray, name: string): JaxArray =>
      nn
        .standardize(x, 1, { epsilon: NORM_EPSILON })
        .mul(parameter(`${name}.weight`))
        .add(parameter(`${name}.bias`));
    const attend = (x: JaxArray): JaxArray => {
      const [q, k, v] = np.split(x, 3, 1).map((part) => part.reshape([batch, context, heads, width])) as [
        JaxArray,
        JaxArray,
        JaxArray,
      ];
      return nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([rows, hidden]);
    };
    const looked = np.matmul(inputs, parameter('embedding').ref).reshape([batch, context, hidden]);
    let x = looked.add(parameter('positions')).reshape([rows, hidden]);
    for (let i = 0; i < layers; i++) {
      const layer = `layers.${i}`;
      const attended = attend(linear(norm(x.ref, `${layer}.attention_norm`), `${layer}.qkv`));
      x = x.add(linear(attended, `${layer}.output`));
      const wide = linear(norm(x.ref, `${layer}.feed_forward_norm`), `${layer}.up`);
      x = x.add(linear(nn.gelu(wide, { approximate: false }), `${layer}.down`));
    }
    const logits = linear(norm(x, 'norm'), 'embedding');
    return nn
      .logSoftmax(logits, 1)
      .mul(targets)
      .sum()
      .mul(-1 / rows);
  };
}

/** By a name that TypeScript does not look up: bench/peers is not installed where Farfield is only built and tested. */
async function load(): Promise<Jax> {
  const name: string = '@jax-js/jax';
  try {
    return (await import(name)) as Jax;
  } catch (cause) {
    throw new FarfieldError(`${name} is not installed; run: npm ci --ignore-scripts --prefix bench/peers`, { cause });
  }
}
