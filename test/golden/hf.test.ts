/** Models of golden/hf against Hugging Face transformers: every case whose architecture model/ implements. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encoderClasses, type LanguageModel, loadLanguageModel, seq2seqClasses } from '../../src/model/index.ts';
import type { Tokenizer } from '../../src/text/index.ts';
import { checkExportedDecoderCase } from './decoder-case.ts';
import { checkEncoderCase, checkExportedCase, type EncoderCase } from './encoder-case.ts';
import { casesOf, disagreement, GOLDEN, readJson, readTensors, type Tolerance } from './folders.ts';
import { checkExportedSeq2SeqCase, checkSeq2SeqCase } from './seq2seq-case.ts';

const HF = join(GOLDEN, 'hf');
const IMPLEMENTED = [
  'LlamaForCausalLM',
  'MistralForCausalLM',
  'Gemma2ForCausalLM',
  'Gemma3ForCausalLM',
  'Olmo3ForCausalLM',
  'GptOssForCausalLM',
];

interface Case extends EncoderCase {
  readonly model_class: string;
  readonly tolerance: Tolerance;
}

/** The cases come with ids, not with texts. */
function noTokenizer(vocabularySize: number): Tokenizer {
  const none = () => {
    throw new Error('this model has no tokenizer');
  };
  return { vocabularySize, encode: none, encodeInPieces: none, decode: none, streamDecoder: none };
}

/** Rows of a batch without their padding: the real ids, and the place of the first. */
function realRows(ids: ArrayLike<number>, mask: ArrayLike<number>, width: number): { ids: number[]; at: number }[] {
  return Array.from({ length: ids.length / width }, (_, row) => {
    const real = Array.from({ length: width }, (_, i) => row * width + i).filter((i) => mask[i] === 1);
    return { ids: real.map((i) => ids[i] as number), at: real[0] as number };
  });
}

describe.skipIf(!existsSync(HF))('golden/hf', () => {
  for (const name of casesOf(HF)) {
    const golden = readJson<Case>(HF, name, 'case.json');
    const { model_class: architecture, tolerance } = golden;
    if (encoderClasses().includes(architecture)) {
      it(name, () => checkEncoderCase(join(HF, name), golden));
      // Blocks that are drawn in training are no part of a file.
      if (golden.mode === 'eval') it(`${name}, exported to ONNX`, () => checkExportedCase(join(HF, name), golden));
      continue;
    }
    if (seq2seqClasses().includes(architecture)) {
      it(name, () => checkSeq2SeqCase(join(HF, name), golden));
      it(`${name}, exported to ONNX`, () => checkExportedSeq2SeqCase(join(HF, name), golden));
      continue;
    }
    if (!IMPLEMENTED.includes(architecture)) {
      it.skip(`${name} (${architecture})`);
      continue;
    }
    it(`${name}, exported to ONNX`, () => checkExportedDecoderCase(join(HF, name), tolerance));
    it(name, async () => {
      const io = await readTensors(HF, name, 'io.safetensors');
      const logits = io('logits');
      const vocabulary = logits.shape[2] as number;
      await using model: LanguageModel = await loadLanguageModel(join(HF, name), {
        weights: 'f32',
        tokenizer: noTokenizer(vocabulary),
      });
      const rows = realRows(io('input_ids').data, io('attention_mask').data, logits.shape[1] as number);
      expect(rows.length).toBeGreaterThan(0);
      for (const { ids, at } of rows) {
        const want = logits.data.subarray(at * vocabulary, (at + ids.length) * vocabulary);
        const decoding = model.stream();
        for (const [i, id] of ids.entries()) {
          const got = await decoding.logits([id]);
          const own = want.subarray(i * vocabulary, (i + 1) * vocabulary);
          expect([i, disagreement(got, own, tolerance)]).toEqual([i, '']);
        }
        decoding.close();
        // At once, and in chunks: what the golden logits say of each next token. A loss is a difference of two logits.
        const targets = [...ids.slice(1), 0];
        const losses = targets.map((target, i) => loss(want.subarray(i * vocabulary, (i + 1) * vocabulary), target));
        for (const chunk of [1024, 7]) {
          const prefill = model.stream({ chunk });
          const got = await prefill.losses(ids, targets);
          prefill.close();
          const twice = { atol: 2 * tolerance.atol, rtol: 2 * tolerance.rtol };
          expect([chunk, disagreement(got, losses, twice)]).toEqual([chunk, '']);
        }
      }
    });
  }
});

/** -log softmax(logits)[target], in float64. */
function loss(logits: ArrayLike<number>, target: number): number {
  const largest = Math.max(...Array.from(logits));
  const sum = Array.from(logits).reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return largest + Math.log(sum) - (logits[target] as number);
}
