/** One case of golden/hf whose model is a decoder, as an exported file. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { exportOnnx, lowerGraph } from '../../src/graph/index.ts';
import { openForExport } from '../../src/model/export-node.ts';
import { disagreement, readTensors, type Tolerance } from './folders.ts';

/** Runs the case as an exported file in ONNX Runtime, the batch as it was given, and compares the logits of tokens that count. */
export async function checkExportedDecoderCase(folder: string, tolerance: Tolerance): Promise<void> {
  const io = await readTensors(folder, 'io.safetensors');
  const opened = await openForExport(folder);
  const [{ graph }] = opened.parts;
  expect(new Set(lowerGraph(graph).nodes.map(({ domain }) => domain))).toEqual(new Set(['']));
  const { model } = await exportOnnx(graph);
  await opened.close();
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    expect(session.inputNames).toEqual(['input_ids', 'attention_mask']);
    const feeds = session.inputNames.map((name): [string, Tensor] => {
      const { data, shape } = io(name);
      return [name, new Tensor('int64', BigInt64Array.from(data, BigInt), [...shape])];
    });
    const { logits } = await session.run(Object.fromEntries(feeds));
    const want = io('logits');
    expect(logits?.dims).toEqual(want.shape);
    const mask = io('attention_mask').data;
    const vocabulary = want.data.length / mask.length;
    const counts = (list: ArrayLike<number>) =>
      Array.from(list).filter((_, i) => mask[Math.floor(i / vocabulary)] === 1);
    expect(counts(want.data).length).toBeGreaterThan(0);
    expect(disagreement(counts(logits?.data as Float32Array), counts(want.data), tolerance)).toBe('');
  } finally {
    await session.release();
  }
}
