// What a stranger does with the packed package: import it by name, call attention(), and compare with a closed form.
import assert from 'node:assert/strict';
import { attention, causal, createDevice, intersect, window } from 'farfield';
import { allows } from 'farfield/pattern';

const [heads, tokens, width, left] = [2, 300, 32, 20];
const slope = 0.01;
const pattern = intersect(window(left), causal());
const shape = [1, heads, tokens, width];

// Scores that rise evenly: q is the first unit vector, and the first number of key j is slope * j. Value j is j everywhere.
const fill = (value) =>
  Float32Array.from({ length: heads * tokens * width }, (_, i) => value(Math.floor(i / width) % tokens, i % width));
const q = { shape, data: fill((_, d) => (d === 0 ? 1 : 0)) };
const k = { shape, data: fill((j, d) => (d === 0 ? slope * j : 0)) };
const v = { shape, data: fill((j) => j) };

const device = await createDevice();
const { output, lse } = await attention({ q, k, v, pattern, scale: 1, device });
await device.dispose();

let worst = 0;
for (let h = 0; h < heads; h++) {
  for (let i = 0; i < tokens; i++) {
    const first = Math.max(0, i - left);
    const count = i - first + 1;
    // The sum of exp(slope * j), j from `first` to i, is a geometric series.
    const closed = slope * first + Math.log(Math.expm1(slope * count) / Math.expm1(slope));
    worst = Math.max(worst, Math.abs(lse[h * tokens + i] - closed));
    let mean = 0;
    for (let j = first; j <= i; j++) mean += j * Math.exp(slope * j - closed);
    for (let e = 0; e < width; e++) {
      worst = Math.max(worst, Math.abs(output.data[(h * tokens + i) * width + e] - mean) / Math.max(1, mean));
    }
  }
}
assert.deepEqual(output.shape, shape);
assert(worst < 1e-5, `attention() is ${worst} from the closed form`);
assert(allows(pattern, { head: 0, q: 30, k: 10 }) && !allows(pattern, { head: 0, q: 30, k: 9 }));
console.log(
  `packed package on Node ${process.version}: build ${device.build}, ${device.threads} threads, ` +
    `${worst.toExponential(1)} from the closed form`,
);
