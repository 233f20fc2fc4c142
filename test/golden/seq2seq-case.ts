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

/**
 * Runs the case as its exported files in ONNX Runtime, the batch as it was given, and compares the outputs where they count: the decoder's
 * whole, and begun and continued with its past.
 */
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
  const [encoder, decoder, next] = ['encoder_model', 'decoder_model', 'decoder_with_past_model'].map((name) =>
    sessions.get(name),
  ) as [InferenceSession, InferenceSession, InferenceSession];
  try {
    const own = inputs.filter((name) => !name.startsWith('decoder_'));
    expect(encoder.inputNames.toSorted()).toEqual(own.toSorted());
    const { last_hidden_state: hidden } = await encoder.run(Object.fromEntries(own.map((name) => [name, int64(name)])));
    const { logits } = await decoder.run({
      input_ids: int64('decoder_input_ids'),
      encoder_hidden_states: hidden as Tensor,
      encoder_attention_mask: int64('attention_mask'),
    });
    const mask = int64('attention_mask');
    const continued = await writeWithPast({ decoder, next }, int64('decoder_input_ids'), hidden as Tensor, mask);
    for (const [name, got] of [
      ['encoder_last_hidden_state', hidden],
      ['logits', logits],
      ['logits', continued],
    ] as const) {
      expect(outputs).toContain(name);
      const want = io(name);
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

/** The logits of a decoder that reads two tokens first, then three, then one after the other. */
async function writeWithPast(
  { decoder, next }: { readonly decoder: InferenceSession; readonly next: InferenceSession },
  { data, dims: [batch = 0, length = 0] }: Tensor,
  hidden: Tensor,
  mask: Tensor,
): Promise<Tensor> {
  const slice = (from: number, to: number) => {
    const rows = Array.from({ length: batch }, (_, row) =>
      [...(data as BigInt64Array)].slice(row * length + from, row * length + to),
    );
    return new Tensor('int64', BigInt64Array.from(rows.flat()), [batch, to - from]);
  };
  const steps: { readonly logits: Tensor; readonly count: number }[] = [];
  const begun = await decoder.run({
    input_ids: slice(0, 2),
    encoder_hidden_states: hidden,
    encoder_attention_mask: mask,
  });
  steps.push({ logits: begun.logits as Tensor, count: 2 });
  const kept = { ...begun };
  for (let at = 2; at < length; ) {
    const count = at === 2 ? 3 : 1;
    const past = next.inputNames.filter((name) => name.startsWith('past_key_values.'));
    const own = past.map((name) => [name, kept[name.replace('past_key_values', 'present')] as Tensor]);
    const result = await next.run({
      input_ids: slice(at, at + count),
      encoder_attention_mask: mask,
      ...Object.fromEntries(own),
    });
    Object.assign(kept, result);
    steps.push({ logits: result.logits as Tensor, count });
    at += count;
  }
  const vocabulary = steps[0]?.logits.dims[2] ?? 0;
  const rows = Array.from({ length: batch }, (_, row) =>
    steps.flatMap(({ logits, count }) => [
      ...(logits.data as Float32Array).subarray(row * count * vocabulary, (row + 1) * count * vocabulary),
    ]),
  );
  return new Tensor('float32', Float32Array.from(rows.flat()), [batch, length, vocabulary]);
}
