import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { sizes, strides } from './problem.ts';
import { numbersOf } from './storage.ts';
import type { AttentionResult, NumberArray } from './types.ts';

/**
 * What attention() gives over all keys, from what it gave over parts of them: `parts` are the results of the same queries over
 * disjoint sets of keys, and
 *
 *   lse = log sum_i exp(lse_i),   output = sum_i exp(lse_i - lse) output_i
 *
 * (FlashAttention-2, Dao 2023, section 2.3.1, where the parts are blocks; Ring Attention, Liu et al. 2023, where they are devices).
 * Computed in float64 and rounded once; the order of the parts changes the last bits at most. Each output [B, H, N, E] in a layout
 * and type of its own, each lse [B, H, N]; the result is f32 in the layout of the first. A part in which a row sees no key (lse = -Infinity) does
 * not count in that row, whatever its output; a row without any key gives zeros and -Infinity. NaN stays NaN.
 * Give sinkLogits to one of the parts only: each part's lse counts its sinks.
 *
 * Gradients: give each part's keys and values to attentionGradients() with the merged output and lse, and the gradients of those.
 * That is all, because probabilities are exp(score - lse), whichever part they are in: gradK and gradV are then those of the part,
 * gradQ is the sum over the parts. Or by the parts' results, with p_i = exp(lse_i - lse):
 * gradOutput_i = p_i gradOutput, gradLse_i = p_i (gradLse + gradOutput . (output_i - output)).
 * @throws ArgumentError where there is no part, or shapes disagree.
 */
export function mergeAttention(parts: readonly AttentionResult<NumberArray>[]): AttentionResult {
  const [first] = parts;
  if (first === undefined) throw new ArgumentError('mergeAttention: there are no parts; give at least one');
  const [batch, heads, rows, width] = sizes(first.output);
  for (const [i, part] of parts.entries()) checkPart(i, part, [batch, heads, rows, width]);
  const data = new Float32Array(first.output.data.length);
  const output = { data, shape: first.output.shape, layout: first.output.layout ?? 'BHND' };
  const lse = new Float32Array(first.lse.length);
  const at = strides(output);
  const inputs = parts.map((part, i) => ({
    lse: part.lse,
    data: numbersOf(`the output of part ${i}`, part.output),
    at: strides(part.output),
  }));
  const sum = new Float64Array(width);
  for (let b = 0, row = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < rows; i++, row++) {
        const greatest = inputs.reduce((most, input) => Math.max(most, input.lse[row]), -Infinity);
        lse[row] = greatest;
        if (greatest === -Infinity) continue;
        let total = 0;
        sum.fill(0);
        for (const input of inputs) {
          if (input.lse[row] === -Infinity) continue;
          const weight = Math.exp(input.lse[row] - greatest);
          const from = b * input.at.batch + h * input.at.head + i * input.at.row;
          total += weight;
          for (let e = 0; e < width; e++) sum[e] += weight * input.data[from + e];
        }
        const to = b * at.batch + h * at.head + i * at.row;
        for (let e = 0; e < width; e++) data[to + e] = sum[e] / total;
        lse[row] = greatest + Math.log(total);
      }
    }
  }
  return { output, lse };
}

function checkPart(index: number, { output, lse }: AttentionResult<NumberArray>, wanted: readonly number[]): void {
  const [batch, heads, rows] = wanted;
  if (sizes(output).join() !== wanted.join())
    throw new ArgumentError(
      `mergeAttention: the output of part ${index} is [${sizes(output).join(', ')}], that of part 0 [${wanted.join(', ')}]`,
    );
  const count = wanted.reduce((product, size) => product * size, 1);
  if (output.data.length !== count)
    throw new ArgumentError(
      `mergeAttention: the output of part ${index} has ${counted(output.data.length, 'number')}, its shape needs ${count}`,
    );
  if (lse.length !== batch * heads * rows)
    throw new ArgumentError(
      `mergeAttention: the lse of part ${index} must be [${batch}, ${heads}, ${rows}], got ${counted(lse.length, 'number')}`,
    );
}
