import { createDevice } from '../../src/attention/index.ts';
import { createNodeBackend } from '../../src/graph/index.ts';
import { createGpt } from '../../src/model/index.ts';
import { sgd } from '../../src/train/index.ts';
import type { Trainer, TrainingProblem } from './trainer.ts';

export async function openFarfieldTrainer(problem: TrainingProblem): Promise<Trainer> {
  const { vocabulary, layers, hidden, heads, context, batch, learningRate, threads, weights } = problem;
  const device = await createDevice({ threads });
  const backend = await createNodeBackend({ threads, memoryArena: true });
  const model = await createGpt(
    { vocabularySize: vocabulary, hiddenSize: hidden, layers, heads, context, positions: 'learned' },
    {
      device,
      backend,
      checkpoint: 'none',
      weights: new Map([...weights].map(([name, { data }]) => [name, data.slice()])),
    },
  );
  const optimizer = sgd().create(model.parameters);
  const gradients = model.parameters.map(({ data }) => new Float32Array(data.length));
  const rows = {
    inputs: problem.inputs,
    targets: problem.targets,
    weights: new Float32Array(problem.inputs.length).fill(1),
    starts: Int32Array.from({ length: batch }, (_, i) => i * context),
  };
  return {
    name: 'farfield',
    about: `Farfield, ONNX Runtime and the wasm kernels, ${threads === 1 ? '1 thread' : `${threads} threads`} each`,
    async step(signal) {
      for (const gradient of gradients) gradient.fill(0);
      const { loss } = await model.step(rows, gradients, { signal });
      optimizer.step(gradients, learningRate);
      return loss;
    },
    async [Symbol.asyncDispose]() {
      await model.dispose();
      await device.dispose();
    },
  };
}
