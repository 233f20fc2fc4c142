import { createDevice } from 'farfield/attention';
import { causal, intersect, sinks, union, window } from 'farfield/pattern';

export interface AttentionInput {
  readonly threads: number;
  readonly rows: number;
}

export interface AttentionOutput {
  readonly build: string;
  readonly threads: number;
  readonly output: readonly number[];
  readonly lse: readonly number[];
}

const [HEADS, GROUPS, WIDTH] = [4, 2, 32];

/** A fixed problem: grouped heads, causal window with sinks, soft cap, a sink logit per head. */
export async function run({ threads, rows }: AttentionInput): Promise<AttentionOutput> {
  const tensor = (heads: number, step: number) => ({
    data: Float32Array.from({ length: heads * rows * WIDTH }, (_, i) => ((i * step) % 257) / 64 - 2),
    shape: [1, heads, rows, WIDTH] as const,
  });
  const device = await createDevice({ threads, build: 'relaxed' });
  try {
    const { output, lse } = await device.attention({
      q: tensor(HEADS, 31),
      k: tensor(GROUPS, 57),
      v: tensor(GROUPS, 101),
      pattern: intersect(causal(), union(window(100), sinks(4))),
      softcap: 20,
      sinkLogits: Float32Array.from({ length: HEADS }, (_, i) => i),
    });
    return { build: device.build, threads: device.threads, output: [...output.data], lse: [...lse] };
  } finally {
    await device.dispose();
  }
}
