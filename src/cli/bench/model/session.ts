/** Sessions of onnxruntime-node as a user of an exported file has them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { exportOnnx, type Graph } from '../../../graph/index.ts';
import { writeOutputStream } from '../../output-stream.ts';

/** A graph in a session of its own, from a file with the weights beside it, as large models are stored. */
export async function openSession(graph: Graph, longest: number, threads: number, signal: AbortSignal) {
  const folder = await mkdtemp(join(tmpdir(), 'farfield-bench-'));
  try {
    const file = join(folder, 'model.onnx');
    const data = 'model.onnx.data';
    const exported = await exportOnnx(graph, { externalData: data, maximumLength: longest, signal });
    const content = exported.externalData?.content();
    if (content !== undefined) await writeOutputStream(join(folder, data), content, { signal });
    await writeOutputStream(file, [exported.model], { signal });
    return await InferenceSession.create(file, {
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
      // Threads that spin after a run would take the cores from the next contender.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  } finally {
    // The weights are in memory, or mapped.
    await rm(folder, { recursive: true });
  }
}
