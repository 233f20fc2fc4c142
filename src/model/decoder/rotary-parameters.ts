/** Rotary angles as config.json describes them, for each kind of layer. */
import * as v from 'valibot';
import { ModelError } from '../../errors.ts';
import { count, positive, text } from '../encoder/architecture.ts';

/** How a query or a key turns. */
export interface RotaryAngles {
  /** Angle per position of each pair of a head's numbers [D/2]. */
  readonly frequencies: Float64Array;
  /** Factor on cos and sin. */
  readonly scale: number;
}

export const rotarySchema = v.looseObject({
  rope_theta: v.optional(positive),
  rope_type: v.optional(text),
  type: v.optional(text),
  factor: v.optional(positive),
  attention_factor: v.nullish(positive),
  beta_fast: v.nullish(positive),
  beta_slow: v.nullish(positive),
  original_max_position_embeddings: v.optional(count),
  truncate: v.optional(v.boolean('it must be true or false'), true),
});

export type RotaryParameters = v.InferOutput<typeof rotarySchema>;

/**
 * The angles of a head of width D: base^(-2i/D); 'linear' divides them by a factor; 'yarn' (Peng et al., "YaRN", section 3.2) divides the
 * slow ones, keeps the fast ones, and scales cos and sin by 0.1 ln(factor) + 1 (section 3.3).
 * @throws ModelError for another type, and where a number is missing.
 */
export function rotaryAngles(rope: RotaryParameters, width: number, otherwise: number, source: string): RotaryAngles {
  const base = rope.rope_theta ?? otherwise;
  const type = rope.rope_type ?? rope.type ?? 'default';
  const half = width / 2;
  const plain = Float64Array.from({ length: half }, (_, i) => base ** (-i / half));
  if (type === 'default') return { frequencies: plain, scale: 1 };
  const { factor } = rope;
  if (type !== 'linear' && type !== 'yarn') {
    throw new ModelError(`${source}: rotary scaling is of type "${type}"; Farfield knows default, linear, yarn here`);
  }
  if (factor === undefined) throw new ModelError(`${source}: rotary scaling of type "${type}" needs factor`);
  if (type === 'linear') return { frequencies: plain.map((frequency) => frequency / factor), scale: 1 };
  const { original_max_position_embeddings: context } = rope;
  if (context === undefined) {
    throw new ModelError(`${source}: rotary scaling of type "yarn" needs original_max_position_embeddings`);
  }
  /** The pair that turns `turns` times over the context. */
  const pairOf = (turns: number) => (width * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [fast, slow] = [pairOf(rope.beta_fast ?? 32), pairOf(rope.beta_slow ?? 1)];
  const low = Math.max(0, rope.truncate ? Math.floor(fast) : fast);
  const high = Math.min(width - 1, rope.truncate ? Math.ceil(slow) : slow);
  const frequencies = plain.map((frequency, i) => {
    const divided = Math.min(1, Math.max(0, (i - low) / Math.max(high - low, 0.001)));
    return (frequency / factor) * divided + frequency * (1 - divided);
  });
  return { frequencies, scale: rope.attention_factor ?? (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1) };
}
