import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Encoder, type EncoderInput, loadEncoder } from '../../src/model/index.ts';
import { classify } from '../../src/task/index.ts';
import { tokenizerFromJson } from '../../src/text/index.ts';
import { GOLDEN, readTensors } from './folders.ts';

const CLASSIFIER = join(GOLDEN, 'hf/longformer-seqcls');

/** One token for each word: "w17" is 17. The golden models have no tokenizers. */
function numberTokenizer(size: number) {
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [`w${id}`, id]));
  return tokenizerFromJson({
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab, unk_token: 'w1' },
    post_processor: null,
    decoder: null,
    added_tokens: [],
  });
}

/** The sequences of a case as texts, without padding. */
async function caseTexts(folder: string) {
  const io = await readTensors(folder, 'io.safetensors');
  const { data, shape } = io('input_ids');
  const [batch = 0, length = 0] = shape;
  const ids = Array.from({ length: batch }, (_, i) => {
    const own = [...data.subarray(i * length, (i + 1) * length)];
    let end = own.length;
    while (own[end - 1] === 1) end--;
    return own.slice(0, end);
  });
  return { io, ids, texts: ids.map((own) => own.map((id) => `w${id}`).join(' ')) };
}

/** The encoder, which a case gives more than a text says. */
function withInput(encoder: Encoder, input: Partial<EncoderInput>): Encoder {
  return new Proxy(encoder, {
    get: (target, key) =>
      key === 'run'
        ? (options: EncoderInput) => target.run({ ...options, ...input })
        : Reflect.get(target, key, target),
  });
}

describe.skipIf(!existsSync(CLASSIFIER))('tasks on the models of transformers', () => {
  it('classify: a softmax of the stored logits', async () => {
    const { io, ids, texts } = await caseTexts(CLASSIFIER);
    await using encoder = await loadEncoder(CLASSIFIER, { tokenizer: numberTokenizer(120), threads: 1 });
    const types = io('token_type_ids');
    const width = types.shape[1] ?? 0;
    const tokenTypes = ids.map((own, i) => types.data.subarray(i * width, i * width + own.length));
    const results = await classify({ encoder: withInput(encoder, { tokenTypes }), texts });
    const logits = io('logits').data;
    expect(results.length).toBe(ids.length);
    for (const [i, { classes, tokens }] of results.entries()) {
      const own = [0, 1, 2].map((k) => Math.exp(logits[i * 3 + k] ?? Number.NaN));
      const total = own.reduce((a, b) => a + b);
      expect(tokens).toBe(ids[i]?.length);
      expect(classes.map(({ score }) => score)).toEqual(classes.map(({ score }) => score).sort((a, b) => b - a));
      for (const { label, score } of classes) {
        const wanted = (own[Number(label.replace('LABEL_', ''))] ?? Number.NaN) / total;
        expect(Math.abs(score - wanted)).toBeLessThan(1e-4);
      }
    }
  });
});
