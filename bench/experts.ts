/**
 * The experts of a gpt-oss layer: only the chosen ones (com.microsoft.MoE) beside all of them (batched products, the others' shares 0).
 *
 *     npm run bench:experts -- --experts 32 --chosen 4 --size 512
 */
import { parseArgs } from 'node:util';
import {
  createNodeBackend,
  GraphBuilder,
  type HostTensor,
  matmul,
  mul,
  reduceSum,
  reshape,
  scaleBy,
  sigmoid,
} from '../src/graph/index.ts';

const { values: options } = parseArgs({
  options: {
    experts: { type: 'string', default: '32' },
    chosen: { type: 'string', default: '4' },
    size: { type: 'string', default: '512' },
    rows: { type: 'string', default: '1,64,512' },
    threads: { type: 'string', default: '2' },
  },
});
const [experts, chosen, size] = [options.experts, options.chosen, options.size].map(Number) as [number, number, number];
const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => 0.05 * Math.sin(i * 12.9898));
const backend = await createNodeBackend({ threads: Number(options.threads) });

function chosenOnly() {
  const graph = new GraphBuilder('chosen');
  const x = graph.input('x', 'float32', ['rows', size]);
  const scores = graph.input('scores', 'float32', ['rows', experts]);
  const weight = (name: string, out: number) =>
    graph.initializer(name, 'float32', [experts, out, size], () => numbers(experts * out * size));
  const attributes = {
    k: { type: 'int', value: chosen },
    normalize_routing_weights: { type: 'int', value: 1 },
    activation_type: { type: 'string', value: 'swiglu' },
    swiglu_fusion: { type: 'int', value: 1 },
  } as const;
  const inputs = [x, scores, weight('wide', 2 * size), undefined, weight('down', size)];
  graph.output(graph.op1({ operator: 'MoE', domain: 'com.microsoft', inputs, attributes }, 'float32', x.shape), 'y');
  return graph.build();
}

function all() {
  const graph = new GraphBuilder('all');
  const x = graph.input('x', 'float32', ['rows', size]);
  const shares = graph.input('scores', 'float32', ['rows', experts]);
  const weight = (name: string) =>
    graph.initializer(name, 'float32', [experts, size, size], () => numbers(experts * size * size));
  const one = reshape(graph, x, [1, 'rows', size]);
  const [gate, up] = [matmul(graph, one, weight('gate')), matmul(graph, one, weight('up'))];
  const fed = matmul(
    graph,
    mul(graph, up, mul(graph, gate, sigmoid(graph, scaleBy(graph, gate, 1.702)))),
    weight('down'),
  );
  const transposed = {
    operator: 'Transpose',
    inputs: [shares],
    attributes: { perm: { type: 'ints', value: [1, 0] } },
  } as const;
  const byExpert = reshape(graph, graph.op1(transposed, 'float32', [experts, 'rows']), [experts, 'rows', 1]);
  graph.output(reduceSum(graph, mul(graph, fed, byExpert), { axis: 0 }), 'y');
  return graph.build();
}

const sessions = { chosen: await backend.compile(chosenOnly()), all: await backend.compile(all()) };
console.log(
  `${experts} experts, ${chosen} chosen, ${size} wide, ${options.threads} threads: milliseconds, the median of five`,
);
for (const rows of options.rows.split(',').map(Number)) {
  const tensor = (width: number): HostTensor => ({
    type: 'float32',
    data: numbers(rows * width),
    shape: [rows, width],
  });
  const feeds = { x: tensor(size), scores: tensor(experts) };
  const times: Record<string, number> = {};
  for (const [name, session] of Object.entries(sessions)) {
    const own: number[] = [];
    for (let i = 0; i < 6; i++) {
      const start = performance.now();
      await session.compute(feeds);
      own.push(performance.now() - start);
    }
    times[name] = own.slice(1).sort((a, b) => a - b)[2] ?? 0;
  }
  const { chosen: few = 0, all: every = 0 } = times;
  console.log(`${rows} rows: chosen ${few.toFixed(2)}, all ${every.toFixed(2)}: ${(every / few).toFixed(1)}x`);
}
for (const session of Object.values(sessions)) await session.release();
