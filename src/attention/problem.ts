import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { BlockMask } from '../mask/block-mask.ts';
import { compileMask } from '../mask/index.ts';
import { checkDropout, type Dropout } from './dropout.ts';
import { checkScore, composeScores, type ScoreModifier, softcap as softcapScore } from './score/index.ts';
import { numberType } from './storage.ts';
import type { AnyAttentionOptions, NumberArray, Tensor } from './types.ts';

/** The checked sizes and settings of an attention call. Letters as in types.ts. */
export interface Problem {
  readonly batch: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly queryWidth: number;
  readonly valueWidth: number;
  readonly scale: number;
  /** Of the scaled scores, where it is all that is done to them. */
  readonly softcap: number | undefined;
  /** All that is done to the scaled scores, the soft cap included. */
  readonly score: ScoreModifier | undefined;
  readonly dropout: Dropout | undefined;
  readonly sinkLogits: Float32Array | undefined;
  readonly mask: BlockMask;
}

export const MAXIMUM_WIDTH = 256;

/** Strides of a tensor [B, H, N, D] in elements, whatever its layout. */
export interface Strides {
  readonly batch: number;
  readonly head: number;
  readonly row: number;
}

export function strides(tensor: Tensor<NumberArray>): Strides {
  const [, second, third, width] = tensor.shape;
  return tensor.layout === 'BNHD'
    ? { batch: second * third * width, head: width, row: third * width }
    : { batch: second * third * width, head: third * width, row: width };
}

/** The sizes [B, H, N, D] of a tensor, whatever its layout. */
export function sizes(tensor: Tensor<NumberArray>): [number, number, number, number] {
  const [batch, second, third, width] = tensor.shape;
  return tensor.layout === 'BNHD' ? [batch, third, second, width] : [batch, second, third, width];
}

/** @throws ArgumentError that names the argument and prints the shapes which disagree. */
export function checkProblem(options: AnyAttentionOptions): Problem {
  const { q, k, v, scale, softcap, sinkLogits } = options;
  for (const [name, tensor] of Object.entries({ q, k, v })) checkTensor(name, tensor);
  const [batch, heads, queries, queryWidth] = sizes(q);
  const [batchK, keyValueHeads, keys, keyWidth] = sizes(k);
  const [batchV, headsV, keysV, valueWidth] = sizes(v);
  const shapes = `q ${shape(q)}, k ${shape(k)}, v ${shape(v)}`;
  const fail = (what: string): never => {
    throw new ArgumentError(`attention: ${what} (${shapes})`);
  };
  if (batchK !== batch) fail(`k has batch ${batchK}, q has ${batch}`);
  if (batchV !== batch) fail(`v has batch ${batchV}, q has ${batch}`);
  if (keyWidth !== queryWidth) fail(`k has width ${keyWidth}, q has ${queryWidth}`);
  if (headsV !== keyValueHeads) fail(`v has ${counted(headsV, 'head')}, k has ${keyValueHeads}`);
  if (keysV !== keys) fail(`v has ${counted(keysV, 'row')}, k has ${keys}`);
  if (keyValueHeads === 0 ? heads !== 0 : heads % keyValueHeads !== 0)
    fail(`the ${counted(heads, 'head')} of q must be a multiple of the ${counted(keyValueHeads, 'head')} of k`);
  for (const [name, width] of [
    ['q', queryWidth],
    ['v', valueWidth],
  ] as const) {
    if (width < 1 || width > MAXIMUM_WIDTH) fail(`the width of ${name} must be 1 to ${MAXIMUM_WIDTH}, got ${width}`);
  }
  if (scale !== undefined && !Number.isFinite(scale)) fail(`scale must be a finite number, got ${scale}`);
  if (softcap !== undefined && !(Number.isFinite(softcap) && softcap > 0))
    fail(`softcap must be a finite number above 0, got ${softcap}`);
  if (sinkLogits !== undefined && sinkLogits.length !== heads)
    fail(`sinkLogits must have one number for each of the ${counted(heads, 'head')}, got ${sinkLogits.length}`);
  if (options.dropout) checkDropout(options.dropout);
  const mask = maskOf(options, batch, heads, queries, keys);
  if (options.score) checkScore(options.score, { batch, heads, queries, keys, queryOffset: mask.queryOffset });
  return {
    batch,
    heads,
    keyValueHeads,
    queries,
    keys,
    queryWidth,
    valueWidth,
    scale: scale ?? 1 / Math.sqrt(queryWidth),
    ...scoreOf(options),
    dropout: options.dropout && options.dropout.rate > 0 ? options.dropout : undefined,
    sinkLogits,
    mask,
  };
}

/** The kernels have the soft cap built in; with a modifier it becomes a part of the expression. */
export function scoreOf({
  softcap,
  score,
}: Pick<AnyAttentionOptions, 'softcap' | 'score'>): Pick<Problem, 'softcap' | 'score'> {
  if (!score || score.expression.kind === 'score') return { softcap, score: undefined };
  if (softcap !== undefined) return { softcap: undefined, score: composeScores(softcapScore(softcap), score) };
  const cap = capOf(score);
  return cap === undefined ? { softcap: undefined, score } : { softcap: cap, score: undefined };
}

/** The cap of a modifier that softcap() made. */
function capOf({ expression }: ScoreModifier): number | undefined {
  const cap = expression.kind === 'mul' && expression.right.kind === 'constant' ? expression.right.value : 0;
  return cap > 0 && JSON.stringify(expression) === JSON.stringify(softcapScore(cap).expression) ? cap : undefined;
}

/** The mask of one batch entry. */
export function maskOfEntry({ mask }: Pick<Problem, 'mask'>, batch: number): BlockMask {
  return mask.batch?.[batch] ?? mask;
}

function maskOf(options: AnyAttentionOptions, batch: number, heads: number, queries: number, keys: number): BlockMask {
  const { mask, pattern } = options;
  if (mask === undefined) return compileMask(pattern ?? { kind: 'dense' }, { heads, queries, keys });
  if (pattern !== undefined) throw new ArgumentError('attention: give mask or pattern, not both');
  if (mask.heads !== heads || mask.queries !== queries || mask.keys !== keys) {
    throw new ArgumentError(
      `attention: the mask was compiled for ${counted(mask.heads, 'head')}, ${counted(mask.queries, 'query', 'queries')} and ${counted(mask.keys, 'key')}; ` +
        `q and k have ${heads}, ${queries} and ${keys}`,
    );
  }
  if (mask.batch !== undefined && mask.batch.length !== batch) {
    throw new ArgumentError(
      `attention: the mask was refined for ${counted(mask.batch.length, 'batch entry', 'batch entries')}; q and k have ${batch}`,
    );
  }
  return mask;
}

function checkTensor(name: string, tensor: Tensor<NumberArray>): void {
  const { data, shape: sizes, layout } = tensor;
  numberType(name, tensor);
  if (sizes.length !== 4 || !sizes.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new ArgumentError(`attention: ${name}.shape must be four sizes [B, H, N, D], got [${sizes.join(', ')}]`);
  if (layout !== undefined && layout !== 'BHND' && layout !== 'BNHD')
    throw new ArgumentError(`attention: ${name}.layout must be 'BHND' or 'BNHD', got '${layout}'`);
  const count = sizes.reduce((product, size) => product * size, 1);
  if (data.length !== count) {
    throw new ArgumentError(
      `attention: ${name} has ${counted(data.length, 'number')}, its shape [${sizes.join(', ')}] needs ${count}`,
    );
  }
}

function shape(tensor: Tensor<NumberArray>): string {
  return `[${tensor.shape.join(', ')}]${tensor.layout === 'BNHD' ? ' BNHD' : ''}`;
}
