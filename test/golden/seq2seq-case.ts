/** One case of golden/hf whose model is an encoder-decoder. */
import { expect } from 'vitest';
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
