import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ArgumentError, MemoryError } from '../../errors.ts';
import { attentionCost } from '../../mask/index.ts';
import { allows, checkPattern, keysVisibleLater, type Pattern } from '../../pattern/index.ts';
import { decimalBytes } from './decimal-bytes.ts';
import { findTask } from './find-task.ts';
import { planAttention } from './plan.ts';
import { tasks } from './recommendations.ts';

const everything = tasks.flatMap(({ recommendations }) => recommendations);

/** Positions that a query sees. */
function seen(pattern: Pattern, q: number, length: number): number[] {
  return Array.from({ length }, (_, k) => k).filter((k) => allows(pattern, { head: 0, q, k }));
}

describe('the table of recommendations', () => {
  it('covers the tasks that people ask for, each under its own names', () => {
    for (const wanted of [
      'classification',
      'QA',
      'question-answering',
      'Summarization',
      'generation',
      'embedding',
      'images',
      'video',
      'code',
      'genomics',
      'time series',
      'timeseries',
    ]) {
      expect(findTask(wanted).recommendations.length).toBeGreaterThanOrEqual(2);
    }
    const names = tasks.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('has a source for every entry', () => {
    for (const { source, claim, why } of everything) {
      expect(source.url).toMatch(/^https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}$/);
      expect(source.where).not.toBe('');
      // The number of a preprint begins with its year; a paper may be printed in the next.
      const preprint = 2000 + Number(source.url.slice(-10, -8));
      expect([preprint, preprint + 1]).toContain(source.year);
      expect(claim.length + why.length).toBeGreaterThan(60);
    }
  });

  it.each([1, 2, 3, 63, 64, 200, 1000])(
    'has patterns that hold for %i tokens, and look ahead only where they say so',
    (length) => {
      for (const { layers, sizes, isCausal } of everything) {
        for (const pattern of sizes.flatMap((size) => layers(length, size))) {
          checkPattern(pattern);
          for (const q of [0, length >> 1, length - 1]) {
            expect(seen(pattern, q, length)).toContain(q);
            if (isCausal) expect(Math.max(...seen(pattern, q, length))).toBe(q);
          }
        }
      }
    },
  );

  it('means by LogSparse what its paper defines: the cells at distances 1, 2, 4, ... and those nearest', () => {
    const own = everything.find(({ id }) => id === 'logsparse');
    const [pattern = { kind: 'dense' }] = own?.layers(1000, 4) ?? [];
    const jumps = Array.from({ length: 10 }, (_, i) => 700 - 2 ** i).filter((k) => k >= 0);
    expect(seen(pattern, 700, 1000)).toEqual([...new Set([...jumps, 700, 699, 698, 697])].sort((a, b) => a - b));
  });

  it('means by StreamingLLM four sinks and a window of the size that it names', () => {
    const own = everything.find(({ id }) => id === 'streaming-llm');
    const [pattern = { kind: 'dense' }] = own?.layers(5000, 1024) ?? [];
    const last = Array.from({ length: 1024 }, (_, i) => 4000 - 1023 + i);
    expect(seen(pattern, 4000, 5000)).toEqual([0, 1, 2, 3, ...last]);
  });
});

const golden = join(
  process.env.FARFIELD_GOLDEN ?? fileURLToPath(new URL('../../../../shared/golden', import.meta.url)),
  'kernels/graph_metrics',
);

describe.skipIf(!existsSync(golden))('strided attention', () => {
  it('is that of the golden masks', () => {
    const { params } = JSON.parse(readFileSync(join(golden, 'case.json'), 'utf8'));
    const { index, n, stride } = params.find((own: { pattern: string }) => own.pattern === 'strided');
    expect(stride ** 2).toBe(n);
    const file = readFileSync(join(golden, 'io.safetensors'));
    const start = 8 + Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString('utf8', 8, start));
    const [from] = header[`allowed_${String(index).padStart(2, '0')}`].data_offsets;
    const own = everything.find(({ id }) => id === 'sparse-transformer-strided');
    const [pattern = { kind: 'dense' }] = own?.layers(n, 0) ?? [];
    for (let q = 0; q < n; q++) {
      for (let k = 0; k < n; k++) {
        const want = file[start + from + q * n + k] === 1;
        if (allows(pattern, { head: 0, q, k }) !== want) expect(`${q} ${k}`).toBe(want);
      }
    }
  });
});

describe('planAttention', () => {
  it('counts what the layers cost, and the memory of what must be held', () => {
    const question = { task: 'qa', length: 3000, memoryBytes: 1e9, heads: 3, width: 32, layers: 4 };
    const { candidates, dense, denseScoreBytes } = planAttention(question);
    expect(candidates[0]?.recommendation.id).toBe('longformer-question');
    for (const { patterns, pairs, flops, computedPairs, memory } of candidates) {
      const { pattern } = attentionCost(patterns[0] ?? { kind: 'dense' }, { queries: 3000, heads: 3, queryWidth: 32 });
      expect({ pairs, flops, computedPairs }).toEqual({
        pairs: pattern.pairs,
        flops: pattern.forward.flops,
        computedPairs: pattern.computedPairs,
      });
      // Hidden states before and after, q, k, v and the output.
      expect(memory).toEqual({ bytes: 200 * 2 ** 20 + 6 * 3000 * 3 * 32 * 4, isStreamed: false });
    }
    expect(dense.pairs).toBe(3 * 3000 ** 2);
    expect(denseScoreBytes).toBe(4 * 3 * 3000 ** 2);
  });

  it('averages layers that differ', () => {
    const { candidates } = planAttention({ task: 'embedding', length: 2000, memoryBytes: 1e9, heads: 1, layers: 4 });
    const modernBert = candidates.find(({ recommendation }) => recommendation.id === 'modernbert');
    // Layers 1 and 4 of 4 are dense; the window sees 64 to either side.
    const local = 2000 * 129 - 64 * 65;
    expect(modernBert?.pairs).toBe((2 * 2000 ** 2 + 2 * local) / 4);
    expect(modernBert?.reach).toBe(2000);
  });

  it('takes a smaller window where memory is short, and the cache is what the pattern still sees', () => {
    const question = { task: 'generation', length: 50_000, heads: 4, width: 64, layers: 6 };
    const chosen = (memoryBytes: number) => planAttention({ ...question, memoryBytes }).candidates[0];
    const wide = chosen(1e9);
    expect(wide?.size).toBe(2048);
    const cached = keysVisibleLater(wide?.patterns[0] ?? { kind: 'dense' }, 1, 50_000, 50_000);
    const keys = cached.reduce((sum, { start, end }) => sum + end - start, 0);
    const chunk = 6 * 2048 * 4 * 64 * 4;
    expect(wide?.memory.bytes).toBe(200 * 2 ** 20 + 6 * keys * 4 * 2 * 64 * 4 + chunk);
    const narrow = chosen((wide?.memory.bytes ?? 0) - 1);
    expect(narrow?.recommendation.id).toBe('streaming-llm');
    expect(narrow?.size).toBe(1024);
  });

  it('recommends dense attention where little is saved', () => {
    expect(
      planAttention({ task: 'classification', length: 300, memoryBytes: 1e9 }).candidates[0]?.recommendation.id,
    ).toBe('dense');
    expect(planAttention({ task: 'code', length: 300, memoryBytes: 1e9 }).candidates[0]?.recommendation.id).toBe(
      'causal',
    );
    expect(
      planAttention({ task: 'classification', length: 9000, memoryBytes: 1e9 }).candidates[0]?.recommendation.id,
    ).toBe('longformer-first');
  });

  it('says what the smallest memory is, and it is enough', () => {
    const question = { task: 'summarization', length: 40_000, heads: 2, width: 16, layers: 2 };
    let needed = 0;
    try {
      planAttention({ ...question, memoryBytes: 1e6 });
    } catch (error) {
      expect(error).toBeInstanceOf(MemoryError);
      if (error instanceof MemoryError) needed = error.neededBytes;
    }
    expect(planAttention({ ...question, memoryBytes: needed }).candidates.length).toBeGreaterThan(0);
    expect(() => planAttention({ ...question, memoryBytes: needed - 1 })).toThrow(MemoryError);
  });

  it('says the budget and what is needed in three figures, never less of the one or more of the other', () => {
    const told = (memoryBytes: number): string => {
      try {
        planAttention({ task: 'summarization', length: 40_000, heads: 2, width: 16, layers: 2, memoryBytes });
        return 'it fits';
      } catch (error) {
        return error instanceof MemoryError ? error.message : String(error);
      }
    };
    // 200 MiB of the process, and 6 numbers of 4 bytes for each of 2 x 16 columns and 40,000 rows: 240,435,200 bytes.
    expect(told(1)).toContain('nothing fits in 1 B: 40,000 tokens need at least 241 MB');
    expect(told(1024)).toContain('nothing fits in 1.02 KB: ');
    expect(told(209_000_000)).toContain('give more memory: 210 MB are for the process itself, whatever it reads');
    expect(told(240_435_199)).toContain('nothing fits in 240 MB: 40,000 tokens need at least 241 MB');
    expect(told(240_435_199)).toContain('give more memory, a shorter text');
    expect(told(240_435_200)).toBe('it fits');
  });

  it.each([
    [1, '1 B', '1 B'],
    [999, '999 B', '999 B'],
    [1001, '1 KB', '1.01 KB'],
    [1_150_000_000, '1.15 GB', '1.15 GB'],
    [999_999, '999 KB', '1 MB'],
    [4e9, '4 GB', '4 GB'],
    [2e15, '2000 TB', '2000 TB'],
  ])('writes %i bytes as %s, rounded up %s', (bytes, down, up) => {
    expect(decimalBytes(bytes, Math.floor)).toBe(down);
    expect(decimalBytes(bytes, Math.ceil)).toBe(up);
  });

  it.each([
    [{ task: 'qq', length: 10, memoryBytes: 1e9 }, 'there is no task "qq". Tasks: classification, question answering'],
    [{ task: 'sumarisation', length: 10, memoryBytes: 1e9 }, 'Did you mean summarization?'],
    [
      { task: 'qa', length: 0, memoryBytes: 1e9 },
      'advise: length is 0; it must be a whole number from 1 to 16,777,216',
    ],
    [{ task: 'qa', length: 2.5, memoryBytes: 1e9 }, 'advise: length is 2.5'],
    [{ task: 'qa', length: 2 ** 24 + 1, memoryBytes: 1e9 }, 'advise: length is 16777217'],
    [{ task: 'qa', length: 10, memoryBytes: Number.NaN }, 'advise: memoryBytes is NaN'],
    [{ task: 'qa', length: 10, memoryBytes: 1e9, width: 1000 }, 'advise: width is 1000'],
  ])('refuses %o', (question, message) => {
    expect(() => planAttention(question)).toThrow(ArgumentError);
    expect(() => planAttention(question)).toThrow(message);
  });
});
