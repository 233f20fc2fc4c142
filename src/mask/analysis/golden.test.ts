import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BitmapStore, EMPTY_BLOCK } from '../bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask } from '../block-mask.ts';
import { undirectedGraph } from './block-graph.ts';
import { type GraphMeasures, graphMeasures } from './graph-measures.ts';
import { HopSearch } from './hop-search.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = join(process.env.FARFIELD_GOLDEN ?? join(root, '../shared/golden'), 'kernels/graph_metrics');

interface Case {
  readonly index: number;
  readonly pattern: string;
  readonly n: number;
  readonly metrics: Readonly<Record<string, number | null>>;
}

/** A tensor of bytes of a safetensors file: 8 bytes of header length, the header as JSON, the data. */
function readBytes(path: string, name: string): Uint8Array | undefined {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const entry = JSON.parse(file.toString('utf8', 8, 8 + headerLength))[name];
  if (entry === undefined) return undefined;
  expect(entry.dtype).toBe('U8');
  const [start, end] = entry.data_offsets as [number, number];
  return file.subarray(8 + headerLength + start, 8 + headerLength + end);
}

/** Any n x n matrix of 0 and 1 as a mask: some of the graphs have no pattern behind them. */
function maskOf(allowed: Uint8Array, n: number): BlockMask {
  const blocks = Math.ceil(n / BLOCK_SIDE);
  const store = new BitmapStore(2 ** 20);
  const rowStart = new Uint32Array(blocks + 1);
  const column: number[] = [];
  const bitmap: number[] = [];
  for (let i = 0; i < blocks; i++) {
    for (let j = 0; j < blocks; j++) {
      const bits = new Uint32Array(BITMAP_WORDS);
      for (let r = 0; r < BLOCK_SIDE; r++) {
        for (let c = 0; c < BLOCK_SIDE; c++) {
          const [q, k] = [i * BLOCK_SIDE + r, j * BLOCK_SIDE + c];
          if (q < n && k < n && allowed[q * n + k] === 1)
            bits[r * 2 + (c >> 5)] = (bits[r * 2 + (c >> 5)] ?? 0) | (1 << (c & 31));
        }
      }
      const index = store.add(bits);
      if (index === EMPTY_BLOCK) continue;
      column.push(j);
      bitmap.push(index);
    }
    rowStart[i + 1] = column.length;
  }
  return {
    pattern: { kind: 'dense' },
    queries: n,
    keys: n,
    queryOffset: 0,
    heads: 1,
    headRows: new Uint32Array(1),
    rows: [{ rowStart, column: Uint32Array.from(column), bitmap: Int32Array.from(bitmap) }],
    bitmaps: store.words(),
  };
}

/** Our numbers under the names of the golden file. */
function named(own: GraphMeasures): Record<string, number | null> {
  return {
    nodes: own.nodes,
    edges: own.edges,
    average_degree: own.averageDegree,
    min_degree: own.minDegree,
    max_degree: own.maxDegree,
    components: own.components,
    average_shortest_path_length: own.averageShortestPath?.value ?? null,
    average_shortest_path_length_reachable: own.averageShortestPathReachable?.value ?? null,
    diameter: own.diameter,
    radius: own.radius,
    average_clustering: own.averageClustering.value,
    transitivity: own.transitivity,
    laplacian_second_smallest: own.spectralGap.value,
    directed_edges: own.directed.edges,
    directed_reachable_pairs: own.directed.reachablePairs.value,
    directed_average_shortest_path_length: own.directed.averageShortestPath?.value ?? null,
    directed_longest_shortest_path: own.directed.longestShortestPath,
  };
}

describe.skipIf(!existsSync(folder))('graph measures of networkx', () => {
  const cases: Case[] = existsSync(folder) ? JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')).params : [];
  const tensors = join(folder, 'io.safetensors');

  it.each(cases.map((own) => [`${own.index} ${own.pattern} ${own.n}`, own] as const))(
    '%s',
    (_, { index, n, metrics }) => {
      const number = String(index).padStart(2, '0');
      const mask = maskOf(readBytes(tensors, `allowed_${number}`) ?? new Uint8Array(), n);
      const own = named(graphMeasures(mask));
      for (const [name, value] of Object.entries(own)) {
        const want = metrics[name];
        expect(want, `the golden file has no ${name}`).not.toBe(undefined);
        if (want === null || value === null || Number.isInteger(want)) expect(value, name).toBe(want);
        else
          expect(Math.abs(value - (want ?? Number.NaN)), `${name}: ${value} for ${want}`).toBeLessThanOrEqual(
            1e-6 * (1 + Math.abs(want ?? 0)),
          );
      }
      const hops = readBytes(tensors, `hops_${number}`);
      if (hops === undefined) return;
      const graph = undirectedGraph(mask);
      const search = new HopSearch(graph);
      for (let source = 0; source < n; source++) {
        for (const limit of [1, 2, 5]) {
          search.run([source], limit);
          for (let token = 0; token < n; token++) {
            if (search.hasReached(token) !== (hops[source * n + token] ?? 255) <= limit)
              expect([source, token, limit]).toBe('reached');
          }
        }
      }
    },
  );
});
