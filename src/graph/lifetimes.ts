/** When the values of a program exist. */
import type { Lifetime } from './buffers.ts';
import type { Edge } from './edge.ts';
import type { AttentionNode, Graph } from './ir.ts';
import type { Stage } from './partition.ts';
import type { CompileProgramOptions } from './program.ts';

/** What each stage makes and until when it is read; outputs of the graph are kept to the end. */
export function lifetimesOf(
  graph: Graph,
  stages: readonly Stage[],
  edge: (name: string) => Edge,
  { inPlace = false, overwrites }: CompileProgramOptions,
): Lifetime[] {
  const first = new Map<string, number>();
  const last = new Map<string, number>();
  for (const [index, stage] of stages.entries()) {
    const reads = stage.kind === 'dense' ? stage.graph.inputs.map((v) => v.name) : Object.values(stage.node.inputs);
    const makes = stage.kind === 'dense' ? stage.graph.outputs.map((v) => v.name) : madeBy(stage.node);
    for (const name of reads) last.set(name, index);
    for (const name of makes) first.set(name, index);
  }
  for (const { name } of graph.outputs) last.set(name, stages.length);
  return [...first].map(([name, index]) => {
    const stage = stages[index];
    const taken = stage?.kind === 'attention' && name === stage.node.output ? overwrites?.(stage.node) : undefined;
    return {
      edge: edge(name),
      first: index,
      last: last.get(name) ?? index,
      inPlace: inPlace && stage?.kind === 'dense',
      over: stage?.kind === 'attention' && taken !== undefined ? edge(stage.node.inputs[taken]) : undefined,
    };
  });
}

function madeBy({ output, lse }: AttentionNode): string[] {
  return lse === undefined ? [output] : [output, lse];
}
