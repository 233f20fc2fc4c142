import { checkPattern, type Pattern } from '../../pattern/index.ts';
import type { Graph, Node } from '../ir.ts';
import type { Unmatched } from './attention-match.ts';
import { isBatchAttention, readBatchAttention } from './batch-attention.ts';
import type { FoundAttention, RewriteOptions, Rewritten } from './rewrite.ts';

/**
 * Puts a pattern into the attention nodes of a graph that model/ made of a dense checkpoint, as rewriteAttention() does for an imported
 * one. What a node does by itself, such as looking at the past only, stays. Nodes that are sparse already are left as they are.
 */
export function sparsifyGraph(graph: Graph, { pattern }: RewriteOptions): Rewritten {
  const found: FoundAttention[] = [];
  const unmatched: Unmatched[] = [];
  const nodes = graph.nodes.map((node): Node => {
    if (!isBatchAttention(node)) return node;
    const own = readBatchAttention(graph, node, found.length);
    if (own.globals !== undefined || !isDense(own.pattern)) {
      unmatched.push({ node: node.name, why: 'its attention is sparse already' });
      return node;
    }
    const index = found.length;
    const wanted = typeof pattern === 'function' ? pattern({ index, node: node.name }) : pattern;
    checkPattern(wanted);
    const isPlain = own.pattern.kind === 'dense' || wanted.kind === 'dense';
    const both: Pattern = isPlain
      ? wanted.kind === 'dense'
        ? own.pattern
        : wanted
      : { kind: 'intersect', of: [own.pattern, wanted] };
    const heads = graph.values.get(own.inputs.q)?.shape[1];
    found.push({
      index,
      node: node.name,
      operator: 'attention',
      pattern: both,
      heads: typeof heads === 'number' ? heads : undefined,
      hasKeyMask: own.inputs.keyMask !== undefined,
    });
    return { ...node, attributes: { ...node.attributes, pattern: { type: 'string', value: JSON.stringify(both) } } };
  });
  return { graph: { ...graph, nodes }, found, unmatched };
}

/** All tokens, the past, or a window of it, as dense models have it. */
function isDense(pattern: Pattern): boolean {
  if (pattern.kind === 'dense' || pattern.kind === 'causal') return true;
  return pattern.kind === 'intersect' && pattern.of.some(({ kind }) => kind === 'causal');
}
