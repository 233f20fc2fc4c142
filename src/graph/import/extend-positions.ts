/** Learned positions of an imported model for texts that are longer than those it was exported for. */
import { ArgumentError } from '../../errors.ts';
import type { Graph, Initializer, Node } from '../ir.ts';
import { GraphView } from './attention-match.ts';
import { scalar } from './match-softmax.ts';
import type { OnnxModel } from './read-onnx.ts';

/** A table of positions that was extended. */
export interface ExtendedPositions {
  readonly table: string;
  /** Tokens that it was made for, and those that it is good for now. */
  readonly from: number;
  readonly to: number;
}

/** Names that exporters keep of a table of positions. */
const TABLE = /(position_embeddings?|embed_positions|wpe)(\.weight)?$/;
/** Nodes between a table's ids and the sum that counts tokens. */
const LONGEST = 8;

/**
 * The graph with its tables of positions read again from their first position behind their last (Beltagy et al., "Longformer", section 5), for texts
 * of `tokens` tokens, and with lists of positions and of segments that are as long. Models without a table, such as those
 * with rotary positions, stay as they are. `graph` is the model's, perhaps with its attention rewritten.
 * @throws ArgumentError where a list beside the table has other content than positions or zeros.
 */
export async function extendPositions(
  graph: Graph,
  model: OnnxModel,
  tokens: number,
): Promise<{ readonly graph: Graph; readonly extended: readonly ExtendedPositions[] }> {
  if (!(Number.isSafeInteger(tokens) && tokens > 0)) {
    throw new ArgumentError(`extendPositions: tokens is ${tokens}; it must be a positive integer`);
  }
  const view = new GraphView(model);
  const extended: ExtendedPositions[] = [];
  const changed = new Map<string, Initializer>();
  for (const table of graph.initializers) {
    const [rows, width] = table.shape;
    const readers = graph.nodes.filter((node) => node.inputs.includes(table.name));
    const isTable =
      table.type === 'float32' &&
      table.shape.length === 2 &&
      rows !== undefined &&
      width !== undefined &&
      TABLE.test(table.name) &&
      readers.length > 0 &&
      readers.every((node) => node.operator === 'Gather' && node.inputs[0] === table.name);
    if (!isTable) continue;
    const first = firstPosition(view, readers[0]);
    const count = first + tokens;
    if (count <= rows) continue;
    for (const list of graph.initializers) {
      if (list.type !== 'int64' || list.shape.length !== 2 || list.shape[0] !== 1 || list.shape[1] !== rows) continue;
      changed.set(list.name, await extendedList(list, count));
    }
    changed.set(table.name, {
      ...table,
      shape: [count, width],
      load: async () => {
        const data = await table.load();
        if (!(data instanceof Float32Array)) throw new TypeError(`${table.name} must be float32`);
        const result = new Float32Array(count * width);
        for (let row = 0; row < count; row++) {
          const from = row < first ? row : first + ((row - first) % (rows - first));
          result.set(data.subarray(from * width, (from + 1) * width), row * width);
        }
        return result;
      },
    });
    extended.push({ table: table.name, from: rows - first, to: tokens });
  }
  if (extended.length === 0) return { graph, extended };
  const values = new Map(graph.values);
  for (const { name, type, shape } of changed.values()) values.set(name, { name, type, shape });
  const initializers = graph.initializers.map((own) => changed.get(own.name) ?? own);
  return { graph: { ...graph, initializers, values }, extended };
}

/** The row of the first token: 0, or behind the padding token's where positions are counted by a sum over the mask (RoBERTa). */
function firstPosition(view: GraphView, gather: Node | undefined): number {
  let name = gather?.inputs[1] ?? '';
  let added = 0;
  for (let left = LONGEST; left > 0; left--) {
    const node = view.producers.get(name);
    if (node === undefined) return 0;
    if (node.operator === 'CumSum') return added + 1;
    const [a = '', b = ''] = node.inputs;
    if (node.operator === 'Add') added += scalar(view, b) ?? 0;
    name = a;
  }
  return 0;
}

/** A list [1, P] of positions or of zeros, as long as asked. */
async function extendedList(list: Initializer, count: number): Promise<Initializer> {
  const data = await list.load();
  if (!(data instanceof BigInt64Array)) throw new TypeError(`${list.name} must be int64`);
  const isZero = data.every((value) => value === 0n);
  if (!isZero && !data.every((value, i) => value === BigInt(i))) {
    throw new ArgumentError(`${list.name} is neither a list of positions nor of zeros, so it cannot be extended`);
  }
  const longer = BigInt64Array.from({ length: count }, (_, i) => (isZero ? 0n : BigInt(i)));
  return { ...list, shape: [1, count], load: () => longer };
}
