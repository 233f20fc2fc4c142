/** One case of golden/hf whose model is an encoder-decoder. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { exportOnnx } from '../../src/graph/index.ts';
import { openForExport } from '../../src/model/export-node.ts';
import { loadSeq2Seq } from '../../src/model/index.ts';
import { type EncoderCase, rowsOf } from './encoder-case.ts';
import { disagreement, readTensors } from './folders.ts';

/**
 * Runs the case as one packed batch, and its texts one by one; compares logits and the encoder's last hidden state where they count.
 * What generate() chooses token by token, with a cache, must be what the logits of the whole sequence say.
 */
export async function checkSeq2SeqCase(folder: string, { inputs, tolerance }: EncoderCase): Promise<void> {
  const io = await readTensors(folder, 'io.safetensors');
  await using model = await loadSeq2Seq(folder);
  const rows = (name: string) => (inputs.includes(name) ? rowsOf(io(name)) : undefined);
  const ids = rows('input_ids') ?? [];
  expect(ids.length).toBeGreaterThan(1);
  for (const some of [ids.map((_, i) => i), ...ids.map((_, i) => [i])]) {
    const pick = (name: string) => some.map((i) => rows(name)?.[i] ?? new Int32Array());
    const text = await model.encode({
      inputIds: pick('input_ids'),
      attentionMask: pick('attention_mask'),
      ...(inputs.includes('global_attention_mask') ? { globalAttentionMask: pick('global_attention_mask') } : {}),
    });
    const logits = await model.logits(text, {
      inputIds: pick('decoder_input_ids'),
      attentionMask: pick('decoder_attention_mask'),
    });
    for (const [name, results] of [
      ['encoder_last_hidden_state', text.hidden],
      ['logits', logits],
    ] as const) {
      for (const [at, i] of some.entries()) {
        const width = results[at]?.shape[1] ?? 0;
        const valid = rowsOf(io(`valid.${name}`))[i] ?? [];
        const counted = (list: ArrayLike<number>) =>
          Array.from(list).filter((_, j) => valid[Math.floor(j / width)] === 1);
        const want = counted(rowsOf(io(name))[i] ?? []);
        expect(want.length).toBeGreaterThan(0);
        const got = counted(results[at]?.data ?? []);
        expect([name, some.length, i, disagreement(got, want, tolerance)]).toEqual([name, some.length, i, '']);
      }
    }
    const prefix = [...(pick('decoder_input_ids')[0]?.subarray(0, 3) ?? [])];
    const generated = await model.generate(text, { maxTokens: 6, prefix });
    for (const own of generated) expect(own.length).toBeGreaterThan(0);
    const whole = await model.logits(text, { inputIds: generated.map((own) => [...prefix, ...own]) });
    for (const [at, own] of generated.entries()) {
      const vocabulary = whole[at]?.shape[1] ?? 0;
      const best = own.map((_, j) => {
        const from = (prefix.length - 1 + j) * vocabulary;
        const row = Array.from(whole[at]?.data.subarray(from, from + vocabulary) ?? []);
        return row.indexOf(Math.max(...row));
      });
      expect(own).toEqual(best);
    }
    text.dispose();
  }
}

/** Runs the case as its two exported files in ONNX Runtime, the batch as it was given, and compares the outputs where they count. */
export async function checkExportedSeq2SeqCase(
  folder: string,
  { inputs, outputs, tolerance }: EncoderCase,
): Promise<void> {
  const io = await readTensors(folder, 'io.safetensors');
  const opened = await openForExport(folder);
  const sessions = new Map<string, InferenceSession>();
  for (const { name, graph } of opened.parts) {
    const { model } = await exportOnnx(graph);
    sessions.set(name, await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 }));
  }
  await opened.close();
  const int64 = (name: string) => {
    const { data, shape } = io(name);
    return new Tensor('int64', BigInt64Array.from(data, BigInt), [...shape]);
  };
  const [encoder, decoder] = ['encoder_model', 'decoder_model'].map((name) => sessions.get(name)) as [
    InferenceSession,
    InferenceSession,
  ];
  try {
    const own = inputs.filter((name) => !name.startsWith('decoder_'));
    expect(encoder.inputNames.toSorted()).toEqual(own.toSorted());
    const { last_hidden_state: hidden } = await encoder.run(Object.fromEntries(own.map((name) => [name, int64(name)])));
    const { logits } = await decoder.run({
      input_ids: int64('decoder_input_ids'),
      encoder_hidden_states: hidden as Tensor,
      encoder_attention_mask: int64('attention_mask'),
    });
    const results: Record<string, Tensor | undefined> = { encoder_last_hidden_state: hidden, logits };
    for (const name of outputs) {
      const want = io(name);
      const got = results[name];
      expect([name, got?.dims]).toEqual([name, want.shape]);
      const valid = io(`valid.${name}`).data;
      const width = want.data.length / valid.length;
      const counts = (list: ArrayLike<number>) => Array.from(list).filter((_, i) => valid[Math.floor(i / width)] === 1);
      expect(counts(want.data).length).toBeGreaterThan(0);
      const difference = disagreement(counts(got?.data as Float32Array), counts(want.data), tolerance);
      expect([name, difference]).toEqual([name, '']);
    }
  } finally {
    for (const session of sessions.values()) await session.release();
  }
}
