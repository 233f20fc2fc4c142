import { createDevice, type Tensor } from '../../attention/index.ts';
import { type Contender, type ContenderFactory, compileProblem, fill, type Problem } from './problem.ts';

/** attention() on a compiled mask, with q, k, v and the output in the kernels' memory. */
export const farfield: ContenderFactory = {
  name: 'farfield',
  what: 'Farfield, the wasm kernels',
  sparse: true,
  async prepare(problem: Problem): Promise<Contender> {
    const { heads, length, width, threads } = problem;
    const device = await createDevice({ threads });
    const mask = compileProblem(problem);
    const tensor = (): Tensor => ({
      data: device.allocate(heads * length * width),
      shape: [1, heads, length, width],
    });
    const [q, k, v, output] = [tensor(), tensor(), tensor(), tensor()];
    for (const [which, { data }] of [q, k, v].entries()) fill(data, which, problem, {});
    return {
      async run(signal) {
        await device.attention({ q, k, v, mask, output, signal });
      },
      at: (h, i, d) => output.data[(h * length + i) * width + d] ?? Number.NaN,
      [Symbol.asyncDispose]: () => device.dispose(),
    };
  },
};
