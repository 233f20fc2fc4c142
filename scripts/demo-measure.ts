/**
 * One measurement of scripts/demo.ts, in a process of its own: attention over the first bytes of a file. Prints JSON.
 *
 *     node scripts/demo-measure.ts '{ "file": "...", "length": 4096, "pattern": { "kind": "dense" } }'
 */
import { open } from 'node:fs/promises';
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import { median } from '../src/cli/bench/timing.ts';
import { createDevice, type Pattern, type Tensor } from '../src/index.ts';

export interface Request {
  readonly file: string;
  /** Bytes from its start, each one token. */
  readonly length: number;
  readonly pattern: Pattern;
}

export interface Measurement {
  readonly milliseconds: number;
  readonly peakMemoryBytes: number;
}

/** Width of queries, keys and values of the one head. */
const WIDTH = 64;
/** Runs are repeated until this many milliseconds have passed, at most RUNS times. */
const ENOUGH = 3000;
const RUNS = 5;

const { file, length, pattern } = JSON.parse(process.argv[2] ?? '') as Request;
const bytes = await readStart(file, length);
const device = await createDevice();
const tensor = (): Tensor => ({ data: device.allocate(length * WIDTH), shape: [1, 1, length, WIDTH] });
const [q, k, v, output] = [tensor(), tensor(), tensor(), tensor()];
for (const [which, { data }] of [q, k, v].entries()) embed(bytes, projection(which), data);

const runs: number[] = [];
const start = performance.now();
do {
  const before = performance.now();
  await device.attention({ q, k, v, output, pattern });
  runs.push(performance.now() - before);
} while (runs.length < RUNS && performance.now() - start < ENOUGH);
// The first run is slower where there are others to compare it with.
const counted = runs.length > 1 ? runs.slice(1) : runs;
const measurement: Measurement = { milliseconds: median(counted), peakMemoryBytes: peakResidentBytes() };
process.stdout.write(`${JSON.stringify(measurement)}\n`, () => process.exit());

async function readStart(path: string, count: number): Promise<Uint8Array> {
  await using handle = await open(path);
  const { buffer } = await handle.read(new Uint8Array(count), 0, count, 0);
  return buffer;
}

/** A random row for each of the 256 bytes, normal enough (the sum of four uniform numbers), the same in every run. */
function projection(seed: number): Float32Array {
  let state = 0x9e3779b9 ^ Math.imul(seed + 1, 0x85ebca6b);
  const uniform = (): number => {
    // Marsaglia, "Xorshift RNGs", section 3.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 - 0.5;
  };
  return Float32Array.from(
    { length: 256 * WIDTH },
    () => (uniform() + uniform() + uniform() + uniform()) * Math.sqrt(3),
  );
}

function embed(tokens: Uint8Array, table: Float32Array, to: Float32Array): void {
  for (const [i, token] of tokens.entries()) to.set(table.subarray(token * WIDTH, (token + 1) * WIDTH), i * WIDTH);
}
