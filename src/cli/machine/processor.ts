import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, totalmem } from 'node:os';

export interface Processor {
  readonly model: string;
  readonly architecture: string;
  /** Logical processors of the machine. */
  readonly processors: number;
  /** How many of them this process may use. */
  readonly usable: number;
  /** Vector instruction sets that matter here, widest last; null where the system does not tell. */
  readonly vectors: readonly string[] | null;
}

export interface Memory {
  readonly totalBytes: number;
  /** What could be allocated now without swapping. */
  readonly availableBytes: number;
  /** The limit of the control group (container), if it is below the machine's memory. */
  readonly limitBytes: number | null;
}

export function readProcessor(): Processor {
  return {
    model: cpus()[0]?.model.trim() || 'unknown',
    architecture: arch(),
    processors: cpus().length,
    usable: availableParallelism(),
    vectors: readVectors(),
  };
}

export function readMemory(): Memory {
  const totalBytes = totalmem();
  const limit = process.constrainedMemory();
  return {
    totalBytes,
    availableBytes: process.availableMemory(),
    limitBytes: limit > 0 && limit < totalBytes ? limit : null,
  };
}

/** Linux lists what the processor can do in /proc/cpuinfo; other systems have no file for it. */
function readVectors(): string[] | null {
  if (arch() === 'arm64') return ['NEON'];
  let flags: Set<string>;
  try {
    const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    if (line === undefined) return null;
    flags = new Set(line.trim().split(/\s+/));
  } catch {
    return null;
  }
  const known = { sse4_1: 'SSE4.1', avx: 'AVX', avx2: 'AVX2', fma: 'FMA', avx512f: 'AVX-512' };
  return Object.entries(known).flatMap(([flag, name]) => (flags.has(flag) ? [name] : []));
}
