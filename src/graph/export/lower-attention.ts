/**
 * Sparse attention in standard ONNX operators. A Loop goes over the queries in chunks; for each it gathers the keys and values of the
 * pattern's cover (a stretch of neighbours, fixed places, blocks of a table), and computes MatMul, a mask from positions,
 * Softmax, MatMul. Lengths are read from shapes when the graph runs, so that any will do, and the scores of one chunk are all
 * that exists beside the inputs and the output.
 */
import { PatternError } from '../../errors.ts';
import { distinctHeads } from '../../pattern/heads.ts';
import { checkPattern, type Pattern } from '../../pattern/index.ts';
import type { GraphEdit } from '../graph-edit.ts';
import type { BatchAttentionNode } from '../import/batch-attention.ts';
import type { Node } from '../ir.ts';
import { alignKeys } from './align-keys.ts';
import { Emitter } from './emitter.ts';
import { type HeadInputs, HeadsPlan, type LowerOptions } from './heads-plan.ts';
import { keyCover } from './key-cover.ts';

/**
 * The nodes that compute an attention node, up to its output. Throws PatternError, naming the pattern, where standard operators do not express it.
 */
export function lowerAttention(edit: GraphEdit, given: BatchAttentionNode, options: LowerOptions = {}): Node[] {
  checkPattern(given.pattern);
  const nodes: Node[] = [];
  const emitter = new Emitter(edit, nodes);
  const node = alignKeys(emitter, given);
  if (node.lse === undefined) lowerNode(emitter, node, options, node.output);
  else {
    // The log-sum-exp comes as one more column of the output.
    const both = edit.free('attended_with_lse');
    lowerNode(emitter, node, options, both);
    const columns = (from: string, to: string, name?: string): string =>
      emitter.op('Slice', [both, from, to, emitter.int64(3)], 'float32', {}, name);
    columns(emitter.int64(0), emitter.int64(-1), node.output);
    const last = columns(emitter.int64(-1), emitter.int64(Number.MAX_SAFE_INTEGER));
    emitter.op('Squeeze', [last, emitter.int64(3)], 'float32', {}, node.lse);
  }
  return nodes;
}

/** Adds what computes the node as `output`. */
function lowerNode(emitter: Emitter, node: BatchAttentionNode, options: LowerOptions, output: string): void {
  const { edit } = emitter;
  const { q, k, v } = node.inputs;
  const heads = sideOf(edit, q, 1);
  const keyValueHeads = sideOf(edit, k, 1);
  const { patterns, headRows } = distinctHeads(node.pattern, heads ?? 1);
  const [only] = patterns;
  if (patterns.length === 1 && only !== undefined) {
    const repeats = heads !== undefined && heads === keyValueHeads ? 1 : undefined;
    lowerHeads(emitter, node, { q, k, v, repeats, sinkLogits: node.inputs.sinkLogits }, only, options, output);
    return;
  }
  if (heads === undefined || keyValueHeads === undefined) {
    throw new PatternError(
      `SparseAttention ${node.name}: the number of its heads is not known, and its pattern differs by head`,
    );
  }
  const order: number[] = [];
  const parts = patterns.map((pattern, i) => {
    const own = [...headRows.keys()].filter((head) => headRows[head] === i);
    order.push(...own);
    const groups = own.map((head) => Math.floor(head / (heads / keyValueHeads)));
    const part = emitter.edit.free('heads');
    const inputs = {
      q: emitter.gather(q, emitter.int64(...own), 1),
      k: emitter.gather(k, emitter.int64(...groups), 1),
      v: emitter.gather(v, emitter.int64(...groups), 1),
      repeats: 1,
      sinkLogits: node.inputs.sinkLogits && emitter.gather(node.inputs.sinkLogits, emitter.int64(...own), 0),
      numbers: emitter.int64(...own),
    };
    lowerHeads(emitter, node, inputs, pattern, options, part);
    return part;
  });
  const back = Array.from({ length: heads }, (_, head) => order.indexOf(head));
  emitter.op(
    'Gather',
    [emitter.concat(parts, 1), emitter.int64(...back)],
    'float32',
    { axis: { type: 'int', value: 1 } },
    output,
  );
}

function lowerHeads(
  emitter: Emitter,
  node: BatchAttentionNode,
  inputs: HeadInputs,
  pattern: Pattern,
  options: LowerOptions,
  output: string,
): void {
  const cover = keyCover(pattern, options.maximumLength);
  const plan = new HeadsPlan(emitter, node, inputs, pattern, cover, options);
  const banded = plan.chunks();
  const { globals } = node;
  if (globals !== undefined && cover.rows.length > 0)
    throw new PatternError(`SparseAttention ${node.name}: it has global tokens; its pattern must not name queries too`);
  if (globals?.seeAll) plan.withGlobalRows(banded, globals, output);
  else if (cover.rows.length === 0) emitter.op('Identity', [banded], 'float32', {}, output);
  else plan.withRows(banded, output);
}

function sideOf(edit: GraphEdit, name: string, axis: number): number | undefined {
  const value = edit.values.get(name);
  const side = value?.ranked === false ? undefined : value?.shape[axis];
  return typeof side === 'number' ? side : undefined;
}
