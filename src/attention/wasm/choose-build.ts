import { BLOCK_SIDE, compileMask } from '../../mask/index.ts';
import type { Heap } from './heap.ts';
import { JOB_WORDS, NEXT_TASK_WORD, scratchBytes, writeJobs } from './job.ts';
import { instantiate } from './kernel-instance.ts';
import { placeMask } from './mask-upload.ts';
import { type Build, hasRelaxedSimd, type Platform } from './platform.ts';

const ROUNDS = 5;

/** The builds that this engine can run, best guess first. */
export function candidateBuilds(platform: Platform): Build[] {
  if (!hasRelaxedSimd()) return ['baseline'];
  return platform.merges ? ['merged', 'relaxed'] : ['relaxed'];
}

/** Compiles the candidates and times them on a small attention, about a millisecond each; the fastest is kept. */
export async function chooseBuild(
  platform: Platform,
  heap: Heap,
  candidates: readonly Build[],
): Promise<{ build: Build; module: WebAssembly.Module }> {
  const modules = await Promise.all(
    candidates.map(async (build) => ({ build, module: await platform.compile(build), best: Infinity })),
  );
  if (modules.length === 1) return modules[0];
  const [rows, width] = [4 * BLOCK_SIDE, BLOCK_SIDE];
  const mask = placeMask(heap, compileMask({ kind: 'dense' }, { heads: 1, queries: rows, keys: rows }));
  const data = heap.allocate(4 * 4 * rows * width);
  const lse = heap.allocate(4 * rows);
  const scratch = heap.allocate(scratchBytes({ queryWidth: width, valueWidth: width }));
  const job = heap.allocate(4 * JOB_WORDS);
  heap.floats(data, 3 * rows * width).fill(0.125);
  const place = (index: number) => ({
    address: data + 4 * index * rows * width,
    batch: 0,
    head: 0,
    row: 4 * width,
    block: 4 * width * BLOCK_SIDE,
  });
  const words = heap.words(job, JOB_WORDS);
  writeJobs(words, [
    {
      batch: 1,
      heads: 1,
      keyValueHeads: 1,
      queries: rows,
      queryWidth: width,
      valueWidth: width,
      q: place(0),
      k: place(1),
      v: place(2),
      output: place(3),
      lse,
      scale: 1,
      sinkLogits: 0,
      mask,
    },
  ]);
  const works = modules.map(({ module }) => instantiate(module, heap.memory).work);
  for (let round = 0; round < ROUNDS; round++) {
    modules.forEach((candidate, i) => {
      words[NEXT_TASK_WORD] = 0;
      const start = performance.now();
      works[i](job, scratch, rows);
      candidate.best = Math.min(candidate.best, performance.now() - start);
    });
  }
  for (const address of [mask.address, data, lse, scratch, job]) heap.free(address);
  return modules.reduce((best, candidate) => (candidate.best < best.best ? candidate : best));
}
