/** Finds MatMul - Scale - Mask - Softmax - MatMul, as PyTorch's exporters write eager and scaled-dot-product attention. */
import type { Node } from '../ir.ts';
import type { AttentionMatch, GraphView, MaskInput, Unmatched } from './attention-match.ts';
import { numberOf } from './expression.ts';
import { constant, constantOf, TooComplexError } from './polynomial.ts';
import { isOne, Query } from './symbolic-tensor.ts';

/** What lies between the product of queries and keys, and the softmax. */
interface Scores {
  readonly product: Node;
  readonly masks: readonly MaskInput[];
  /** Product of the factors up to here, from the softmax on. */
  readonly factor: number;
  readonly softcap?: number;
}

/** Operators in a row that are looked through; attention has a handful. */
const LONGEST = 16;

/** The attention around a Softmax, or why there is none; undefined where it is no attention at all, like a classifier's. */
export function matchSoftmax(view: GraphView, softmax: Node): AttentionMatch | Unmatched | undefined {
  const [input = '', probabilities = ''] = [softmax.inputs[0], softmax.outputs[0]];
  const scores = scoresOf(view, input, { masks: [], factor: 1 }, LONGEST);
  if (scores === undefined) return undefined;
  const unmatched = (why: string): Unmatched => ({ node: softmax.name, why });
  const [q = '', k = ''] = scores.product.inputs;
  const rank = view.tensor(q)?.shape?.length;
  const last = afterSoftmax(view, probabilities);
  if (typeof last === 'string') return rank === 4 ? unmatched(last) : undefined;
  if (rank !== 4) {
    return unmatched(
      `its queries ${q} have ${rank ?? 'an unknown number of'} axes; [batch, heads, queries, width] is needed`,
    );
  }
  const axis = softmax.attributes.axis;
  if (axis?.type === 'int' && axis.value !== -1 && axis.value !== rank - 1)
    return unmatched('its Softmax is not over keys');
  const v = last.inputs[1] ?? '';
  if (view.tensor(v)?.shape?.length !== 4) return unmatched(`its values ${v} do not have four axes`);
  const { masks, factor: scale, softcap } = scores;
  return {
    node: softmax,
    last,
    q,
    k,
    v,
    isKeyTransposed: true,
    scale,
    ...(softcap === undefined ? {} : { softcap }),
    masks,
    isCausal: false,
  };
}

function scoresOf(view: GraphView, name: string, known: Omit<Scores, 'product'>, left: number): Scores | undefined {
  const node = view.producers.get(name);
  if (node === undefined || node.domain !== '' || left === 0) return undefined;
  const [a = '', b = '', c = ''] = node.inputs;
  const next = (input: string, more: Partial<Scores> = {}): Scores | undefined =>
    scoresOf(view, input, { ...known, ...more }, left - 1);
  const masked = (input: string, mask: MaskInput): Scores | undefined => next(input, { masks: [...known.masks, mask] });
  switch (node.operator) {
    case 'MatMul':
      return { ...known, product: node };
    case 'Cast':
    case 'Identity':
      return next(a);
    case 'Add':
      return masked(a, { value: b, form: 'additive' }) ?? masked(b, { value: a, form: 'additive' });
    case 'Where': {
      const [then, otherwise] = [scalar(view, b), scalar(view, c)];
      if (otherwise !== undefined && otherwise <= -1e4) return masked(b, { value: a, form: 'truth' });
      if (then !== undefined && then <= -1e4) return masked(c, { value: a, form: 'truth', isInverted: true });
      return undefined;
    }
    case 'Mul': {
      const [left, right] = [scalar(view, a), scalar(view, b)];
      if (right !== undefined) return next(a, { factor: known.factor * right });
      return left === undefined ? undefined : next(b, { factor: known.factor * left });
    }
    case 'Div': {
      const by = scalar(view, b);
      return by === undefined ? undefined : next(a, { factor: known.factor / by });
    }
    // cap * tanh(s / cap): the factors after it are the cap.
    case 'Tanh':
      return known.softcap === undefined && known.masks.length <= 1 ? next(a, { softcap: known.factor }) : undefined;
    default:
      return undefined;
  }
}

/** The number that a value of one element is. */
export function scalar(view: GraphView, name: string): number | undefined {
  const tensor = view.tensor(name);
  if (tensor?.shape === undefined || !tensor.shape.every(isOne)) return undefined;
  try {
    const place = tensor.shape.map(() => constant(0));
    return numberOf(tensor.at(place, new Query()));
  } catch (error) {
    if (error instanceof TooComplexError) return undefined;
    throw error;
  }
}

/** The product of probabilities and values that follows; a text says what stands in its way. */
function afterSoftmax(view: GraphView, name: string): Node | string {
  let probabilities = name;
  for (let left = LONGEST; left > 0; left--) {
    const readers = view.readers(probabilities);
    if (readers === undefined) return `its probabilities ${probabilities} are an output of the graph`;
    const [first] = readers;
    const other = readers.length === 2 ? readers.find((node) => node.operator === 'Where') : undefined;
    if (other !== undefined && readers.some((node) => node.operator === 'IsNaN')) {
      // Rows without a key: NaN becomes 0, which is what attention() gives.
      probabilities = other.outputs[0] ?? '';
    } else if (readers.length !== 1 || first === undefined) {
      return `its probabilities ${probabilities} are read by ${readers.length} nodes`;
    } else if (first.operator === 'MatMul' && first.inputs[0] === probabilities) return first;
    else if (['Cast', 'Identity', 'Dropout'].includes(first.operator)) probabilities = first.outputs[0] ?? '';
    else return `its probabilities ${probabilities} go into ${first.operator} ${first.name}`;
  }
  return 'its probabilities go through too many nodes';
}

/** The width of heads that a value [B, H, N, D] has, where it is known. */
export function widthOf(view: GraphView, name: string): number | undefined {
  const width = view.tensor(name)?.shape?.at(-1);
  return width === undefined ? undefined : constantOf(width);
}
