import { afterAll, expect, it } from 'vitest';
import { dispose } from '../attention/index.ts';
import { ModelError } from '../errors.ts';
import { createNodeBackend, GraphBuilder, gather, readOnnx, rewriteAttention, writeOnnx } from '../graph/index.ts';
import { compareOnnx } from './compare-onnx.ts';

afterAll(dispose);

const [VOCABULARY, WIDTH] = [11, 8];
const table = Float32Array.from({ length: VOCABULARY * WIDTH }, (_, i) => Math.sin(1 + i * 2.3));
const ids = [3, 7, 1, 10, 4];

/** Rows of the embedding attend to each other: queries, keys and values are the rows themselves. */
async function model(...others: readonly string[]) {
  const graph = new GraphBuilder('rows');
  const sides = ['batch', 'sequence'] as const;
  const tokens = graph.input('input_ids', 'int64', sides);
  graph.input('attention_mask', 'int64', sides);
  for (const name of others) graph.input(name, 'int64', sides);
  const x = gather(
    graph,
    graph.initializer('table', 'float32', [VOCABULARY, WIDTH], () => table),
    tokens,
  );
  const node = { operator: 'MultiHeadAttention', domain: 'com.microsoft', inputs: [x, x, x] } as const;
  const attributes = { num_heads: { type: 'int', value: 2 } } as const;
  graph.output(graph.op1({ ...node, attributes }, 'float32', [...sides, WIDTH]), 'hidden');
  return readOnnx(await writeOnnx(graph.build()));
}

/** The same by its definition, in float64. */
function dense(): number[][] {
  const rows = ids.map((id) => Array.from(table.subarray(id * WIDTH, (id + 1) * WIDTH)));
  return rows.map((row) =>
    row.map((_, column) => {
      const head = Math.floor(column / 4) * 4;
      const dot = (other: number[]) =>
        [0, 1, 2, 3].reduce((sum, i) => sum + (row[head + i] ?? 0) * (other[head + i] ?? 0), 0);
      const weights = rows.map((other) => Math.exp(dot(other) / 2));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return rows.reduce((sum, other, k) => sum + ((weights[k] ?? 0) / total) * (other[column] ?? 0), 0);
    }),
  );
}

it('tells how far outputs move, by the definition', async () => {
  const backend = await createNodeBackend({ threads: 1 });
  const opened = await model('token_type_ids', 'position_ids');
  const compare = (left: number) =>
    compareOnnx({
      dense: opened.graph,
      sparse: rewriteAttention(opened, { pattern: { kind: 'window', left, right: left } }).graph,
      ids,
      backend,
    });
  const [same] = await compare(5);
  expect(same?.largestDifference).toBeLessThan(1e-6);
  expect(same?.leastCosine).toBeCloseTo(1, 6);
  // Each token sees itself alone: its row comes out.
  const [alone] = await compare(0);
  const cosines = dense().map((want, row) => {
    const own = table.subarray((ids[row] ?? 0) * WIDTH, ((ids[row] ?? 0) + 1) * WIDTH);
    const norm = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));
    return want.reduce((sum, x, i) => sum + x * (own[i] ?? 0), 0) / norm(want) / norm(own);
  });
  const largest = Math.max(
    ...dense().flatMap((want, row) => want.map((x, i) => Math.abs(x - (table[(ids[row] ?? 0) * WIDTH + i] ?? 0)))),
  );
  expect(alone?.output).toBe('hidden');
  expect(alone?.largestDifference).toBeCloseTo(largest, 5);
  expect(alone?.meanCosine).toBeCloseTo(cosines.reduce((sum, x) => sum + x, 0) / ids.length, 5);
  expect(alone?.leastCosine).toBeCloseTo(Math.min(...cosines), 5);
});

it('names an input that a text does not give', async () => {
  const { graph } = await model('decoder_input_ids');
  const backend = await createNodeBackend({ threads: 1 });
  const comparing = compareOnnx({ dense: graph, sparse: graph, ids, backend });
  await expect(comparing).rejects.toThrow(ModelError);
  await expect(compareOnnx({ dense: graph, sparse: graph, ids, backend })).rejects.toThrow('decoder_input_ids');
});
