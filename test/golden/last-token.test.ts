/** A classifier of the last token, on the golden ModernBERT decoder with a head added. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeSafetensors } from '../../src/checkpoint/index.ts';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { loadEncoder } from '../../src/model/index.ts';
import { GOLDEN, readJson, readTensors } from './folders.ts';

const CASE = join(GOLDEN, 'hf/modernbert-decoder');

it.skipIf(!existsSync(CASE))('the classifier of ModernBERT’s decoder reads the last token that counts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'farfield-last-'));
  try {
    const stored = await readTensors(CASE, 'model.safetensors');
    const { checkpoint } = await openCheckpoint(CASE);
    const names = checkpoint.names().filter((name) => !name.startsWith('decoder.'));
    await checkpoint.close();
    const matrix = Float32Array.from({ length: 3 * 32 }, (_, i) => Math.sin(1 + 2.3 * i));
    const tensors = names.map((name) => ({
      name: name.replace(/^lm_head\./, 'head.'),
      shape: stored(name).shape,
      data: Float32Array.from(stored(name).data),
    }));
    tensors.push({ name: 'classifier.weight', shape: [3, 32], data: matrix });
    await writeFile(join(folder, 'model.safetensors'), await writeSafetensors(tensors));
    const config = readJson<object>(CASE, 'config.json');
    const whole = { ...config, architectures: ['ModernBertDecoderForSequenceClassification'], num_labels: 3 };
    await writeFile(join(folder, 'config.json'), JSON.stringify(whole));
    const plain = join(folder, 'plain');
    await symlink(CASE, plain);

    const inputIds = [
      [9, 20, 31, 7, 44, 12],
      [5, 6, 70],
    ];
    const attentionMask = [
      [1, 1, 1, 1, 0, 0],
      [1, 1, 1],
    ];
    await using base = await loadEncoder(plain, { task: 'base', threads: 1 });
    await using classifier = await loadEncoder(folder, { threads: 1 });
    expect(classifier.task).toBe('sequenceClassification');
    const hidden = await base.run({ inputIds, attentionMask, outputs: ['hidden'] });
    const results = await classifier.run({ inputIds, attentionMask });
    for (const [i, last] of [3, 2].entries()) {
      const x = [...(hidden[i]?.hidden?.data.subarray(last * 32, (last + 1) * 32) ?? [])];
      const dense = stored('lm_head.dense.weight').data;
      const wide = x.map((_, row) => x.reduce((sum, value, d) => sum + value * (dense[row * 32 + d] ?? 0), 0));
      const active = wide.map((value) => (value * (1 + erf(value / Math.SQRT2))) / 2);
      const mean = active.reduce((a, b) => a + b) / 32;
      const variance = active.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 32;
      const norm = stored('lm_head.norm.weight').data;
      const normal = active.map((value, d) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (norm[d] ?? 0));
      const { logits } = results[i] ?? {};
      expect(logits?.shape).toEqual([3]);
      for (let k = 0; k < 3; k++) {
        const wanted = normal.reduce((sum, value, d) => sum + value * (matrix[k * 32 + d] ?? 0), 0);
        expect(Math.abs((logits?.data[k] ?? Number.NaN) - wanted)).toBeLessThan(1e-4);
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** By its series, which converges for every x. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
