import { attentionWeights, composeScores, createDevice, expression as e, t5Buckets } from 'farfield/attention';
import { causal, intersect, sinks, union, window } from 'farfield/pattern';

export interface ScoresInput {
  readonly threads: number;
  readonly rows: number;
}

/** By name: output, lse, gradients, and the weights of the first head. */
export type ScoresOutput = Readonly<Record<string, readonly number[]>>;

const [HEADS, GROUPS, WIDTH] = [4, 2, 32];

/** A fixed problem with T5 buckets, an expression of its own with each kind of function, dropout: forward, backward, weights. */
export async function run({ threads, rows }: ScoresInput): Promise<ScoresOutput> {
  const numbers = (length: number, step: number) =>
    Float32Array.from({ length }, (_, i) => ((i * step) % 257) / 64 - 2);
  const tensor = (heads: number, step: number) => ({
    data: numbers(heads * rows * WIDTH, step),
    shape: [1, heads, rows, WIDTH] as const,
  });
  const decay = e.mul(e.lookup('decay', e.head), e.log(e.add(e.abs(e.sub(e.q, e.k)), 1)));
  const parity = e.equal(e.floor(e.div(e.q, 7)), e.floor(e.div(e.k, 7)));
  const own = {
    expression: e.add(e.sub(e.score, decay), e.select(parity, e.tanh(e.score), e.exp(e.min(e.score, 0)))),
    parameters: { decay: { data: numbers(HEADS, 77), shape: [HEADS] } },
  };
  const table = { data: numbers(32 * HEADS, 91), shape: [32, HEADS] };
  const device = await createDevice({ threads, build: 'relaxed' });
  try {
    const options = {
      q: tensor(HEADS, 31),
      k: tensor(GROUPS, 57),
      v: tensor(GROUPS, 101),
      pattern: intersect(causal(), union(window(100), sinks(4))),
      score: composeScores(t5Buckets({ table, bidirectional: false }), own),
      dropout: { rate: 0.2, seed: 5 },
    };
    const { output, lse } = await device.attention(options);
    const gradOutput = { ...output, data: numbers(output.data.length, 41) };
    const gradients = await device.attentionGradients({ ...options, output, lse, gradOutput });
    const { dropout: _, ...kept } = options;
    const { heads } = await attentionWeights({ ...kept, lse, device });
    return {
      output: [...output.data],
      lse: [...lse],
      gradQ: [...gradients.gradQ.data],
      gradK: [...gradients.gradK.data],
      gradV: [...gradients.gradV.data],
      gradTable: [...(gradients.gradParameters?.table ?? [])],
      gradDecay: [...(gradients.gradParameters?.decay ?? [])],
      weights: [...heads[0][0].values],
    };
  } finally {
    await device.dispose();
  }
}
