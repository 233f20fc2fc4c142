/** Published results to set one's own beside. */

/**
 * Accuracy in percent, from Tay et al. 2021, "Long Range Arena: A Benchmark for Efficient Transformers", table 1. Path-X has none: every
 * model there failed to do better than chance.
 */
export const longRangeArenaTable1 = {
  Transformer: { listops: 36.37, text: 64.27, retrieval: 57.46, image: 42.44, pathfinder: 71.4 },
  'Local Attention': { listops: 15.82, text: 52.98, retrieval: 53.39, image: 41.46, pathfinder: 66.63 },
  'Sparse Transformer': { listops: 17.07, text: 63.58, retrieval: 59.59, image: 44.24, pathfinder: 71.71 },
  Longformer: { listops: 35.63, text: 62.85, retrieval: 56.89, image: 42.22, pathfinder: 69.71 },
  Linformer: { listops: 35.7, text: 53.94, retrieval: 52.27, image: 38.56, pathfinder: 76.34 },
  Reformer: { listops: 37.27, text: 56.1, retrieval: 53.4, image: 38.07, pathfinder: 68.5 },
  'Sinkhorn Transformer': { listops: 33.67, text: 61.2, retrieval: 53.83, image: 41.23, pathfinder: 67.45 },
  Synthesizer: { listops: 36.99, text: 61.68, retrieval: 54.67, image: 41.61, pathfinder: 69.45 },
  BigBird: { listops: 36.05, text: 64.02, retrieval: 59.29, image: 40.83, pathfinder: 74.87 },
  'Linear Transformer': { listops: 16.13, text: 65.9, retrieval: 53.09, image: 42.34, pathfinder: 75.3 },
  Performer: { listops: 18.01, text: 65.4, retrieval: 53.82, image: 42.77, pathfinder: 77.05 },
} as const;

export type PublishedModel = keyof typeof longRangeArenaTable1;

/** The columns of the table, and Path-X, which has none. */
export type ArenaColumn = 'listops' | 'text' | 'retrieval' | 'image' | 'pathfinder' | 'path-x';

/** One column by model; empty for Path-X. */
export function publishedColumn(column: ArenaColumn): Readonly<Partial<Record<PublishedModel, number>>> {
  if (column === 'path-x') return {};
  return Object.fromEntries(Object.entries(longRangeArenaTable1).map(([model, row]) => [model, row[column]]));
}
