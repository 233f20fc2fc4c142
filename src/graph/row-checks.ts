import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { type Feed, isRowSource } from './backend.ts';
import { type Graph, ROWS } from './ir.ts';
import type { Stage } from './partition.ts';
import { describeShape } from './tensor-data.ts';

/**
 * Refuses a graph that cannot run in chunks of rows: every value that one stage hands to another (or to the caller) and that
 * depends on the rows must have 'rows' as its first dimension.
 */
export function checkRowWise(graph: Graph, stages: readonly Stage[]): void {
  const dependent = new Set(graph.inputs.filter((value) => value.shape[0] === ROWS).map((value) => value.name));
  for (const node of graph.nodes) {
    if (node.inputs.some((input) => dependent.has(input))) for (const output of node.outputs) dependent.add(output);
  }
  for (const stage of stages) {
    if (stage.kind !== 'dense') continue;
    for (const { name, shape } of stage.graph.outputs) {
      const bad = dependent.has(name) ? shape[0] !== ROWS : shape.some((dimension) => typeof dimension === 'string');
      if (bad) {
        throw new ArgumentError(
          `graph ${graph.name}: ${name} ${describeShape(shape)} leaves a dense segment, so it must be ` +
            `[${ROWS}, ...], computed row by row${dependent.has(name) ? '' : ', or have a known shape'}`,
        );
      }
    }
  }
}

/** Checks every input of the graph and gives the number of rows, in which all row inputs must agree. */
export function checkFeeds(graph: Graph, feeds: Readonly<Record<string, Feed>>): number {
  let rows: number | undefined;
  let named = '';
  for (const { name, type, shape } of graph.inputs) {
    const feed = feeds[name];
    const want = `${type} ${describeShape(shape)}`;
    if (feed === undefined) throw new ArgumentError(`feeds.${name} is missing: graph ${graph.name} needs ${want}`);
    if (isRowSource(feed)) {
      if (type !== 'float32' || shape[0] !== ROWS) {
        throw new ArgumentError(`feeds.${name} must be ${want}; a source of rows gives float32 ['${ROWS}', ...]`);
      }
    } else {
      let fits = feed.type === type && feed.shape.length === shape.length;
      let elements = 1;
      for (let i = 0; i < shape.length; i++) {
        const wanted = shape[i];
        if (typeof wanted === 'number' && wanted !== feed.shape[i]) fits = false;
        elements *= feed.shape[i] ?? 0;
      }
      if (!fits || elements !== feed.data.length) {
        throw new ArgumentError(
          `feeds.${name} must be ${want}, got ${feed.type} ${describeShape(feed.shape)} with ${counted(feed.data.length, 'element')}`,
        );
      }
    }
    if (shape[0] !== ROWS) continue;
    const own = isRowSource(feed) ? feed.length : feed.shape[0];
    if (rows !== undefined && rows !== own) {
      throw new ArgumentError(`feeds.${name} has ${counted(own, 'row')}, feeds.${named} has ${rows}`);
    }
    rows = own;
    named = name;
  }
  if (rows === undefined)
    throw new ArgumentError(`graph ${graph.name} has no input whose first dimension is '${ROWS}'`);
  return rows;
}
