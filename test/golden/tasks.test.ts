import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Encoder, type EncoderInput, loadEncoder } from '../../src/model/index.ts';
import { ask, classify, fill, tag } from '../../src/task/index.ts';
import { type Tokenizer, textDocument, tokenizerFromJson } from '../../src/text/index.ts';
import { GOLDEN, readTensors } from './folders.ts';

const CLASSIFIER = join(GOLDEN, 'hf/longformer-seqcls');

/** A letter is among the words: on it a tokenizer looks for what is put around texts. */
const wordOf = (id: number) => (id === 5 ? 'a' : `w${id}`);

const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const SPECIAL = Object.fromEntries(
  [0, 1, 2, 3].map((id) => [`w${id}`, { id: `w${id}`, ids: [id], tokens: [`w${id}`] }]),
);

/** One token for each word. The golden models have no tokenizers. */
function numberTokenizer(size: number, pair: readonly unknown[] = []) {
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [wordOf(id), id]));
  return tokenizerFromJson({
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab, unk_token: 'w1' },
    post_processor:
      pair.length === 0
        ? null
        : {
            type: 'TemplateProcessing',
            single: [{ Sequence: { id: 'A', type_id: 0 } }],
            pair,
            special_tokens: SPECIAL,
          },
    decoder: null,
    added_tokens: [],
  });
}

/** Of a class, so that a field can be added. */
function methodsOf(tokenizer: Tokenizer): Tokenizer {
  return {
    vocabularySize: tokenizer.vocabularySize,
    encode: (text, options) => tokenizer.encode(text, options),
    encodeInPieces: (text, options) => tokenizer.encodeInPieces(text, options),
    decode: (ids, options) => tokenizer.decode(ids, options),
    streamDecoder: (options) => tokenizer.streamDecoder(options),
  };
}

/** The sequences of a case as texts, without padding. */
async function caseTexts(folder: string, pad = 1) {
  const io = await readTensors(folder, 'io.safetensors');
  const { data, shape } = io('input_ids');
  const [batch = 0, length = 0] = shape;
  const ids = Array.from({ length: batch }, (_, i) => {
    const own = [...data.subarray(i * length, (i + 1) * length)];
    let end = own.length;
    while (own[end - 1] === pad) end--;
    return own.slice(0, end);
  });
  return { io, ids, texts: ids.map((own) => own.map(wordOf).join(' ')) };
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

  it.each([
    ['longformer-qa', 120, 1, 2, [2, 2]],
    ['bigbird-qa', 100, 0, 3, [3]],
  ] as const)('ask: the best spans of %s by its stored logits', async (name, size, pad, sep, between) => {
    const folder = join(GOLDEN, 'hf', name);
    const { io, ids } = await caseTexts(folder, pad);
    const width = io('input_ids').shape[1] ?? 0;
    const whole = ids.filter((own) => own.length === width);
    expect(whole.length).toBeGreaterThan(0);
    for (const [i, own] of ids.entries()) {
      // BigBird lays its blocks over the padding too, and here there is none.
      if (name === 'bigbird-qa' && own.length < width) continue;
      const first = own.indexOf(sep);
      const from = first + between.length;
      const hasEnd = own.at(-1) === sep;
      const text = own
        .slice(from, hasEnd ? -1 : undefined)
        .map(wordOf)
        .join(' ');
      const pair = [
        special(`w${own[0]}`),
        { Sequence: { id: 'A', type_id: 0 } },
        ...between.map((id) => special(`w${id}`)),
        { Sequence: { id: 'B', type_id: 0 } },
        ...(hasEnd ? [special(`w${sep}`)] : []),
      ];
      await using encoder = await loadEncoder(folder, { tokenizer: numberTokenizer(size, pair), threads: 1 });
      const defaults: Partial<EncoderInput> =
        name === 'bigbird-qa' ? { tokenTypes: [own.map((_, at) => (at > first ? 1 : 0))] } : {};
      const question = own.slice(1, first).map(wordOf).join(' ');
      const document = textDocument(text);
      const { answers, windows } = await ask({ encoder: withInput(encoder, defaults), question, document, top: 2 });
      expect(windows).toBe(1);
      // Every pair, by definition.
      const of = (output: string) => [...io(output).data.subarray(i * width, i * width + own.length)];
      const [starts, ends] = [of('start_logits'), of('end_logits')];
      const until = hasEnd ? own.length - 1 : own.length;
      const total = (logits: number[]) =>
        [logits[0] ?? 0, ...logits.slice(from, until)].reduce((sum, x) => sum + Math.exp(x), 0);
      const all: { a: number; b: number; score: number }[] = [];
      for (let a = from; a < until; a++)
        for (let b = a; b < Math.min(until, a + 30); b++)
          all.push({ a, b, score: (Math.exp(starts[a] ?? 0) * Math.exp(ends[b] ?? 0)) / total(starts) / total(ends) });
      all.sort((x, y) => y.score - x.score);
      const [best = { a: 0, b: 0, score: 0 }] = all;
      const next = all.find(({ a, b }) => b < best.a || a > best.b) ?? best;
      for (const [k, wanted] of [best, next].entries()) {
        expect(answers[k]?.text).toBe(
          own
            .slice(wanted.a, wanted.b + 1)
            .map(wordOf)
            .join(' '),
        );
        expect(Math.abs((answers[k]?.score ?? Number.NaN) - wanted.score)).toBeLessThan(1e-4);
        const { start = 0, end = 0, place } = answers[k] ?? {};
        expect(text.slice(place?.start.byte, place?.end.byte)).toBe(text.slice(start, end));
      }
    }
  });

  it('tag: neighbours of one label, with the mean of their probabilities', async () => {
    const folder = join(GOLDEN, 'hf/longformer-tokencls');
    const { io, ids, texts } = await caseTexts(folder);
    const width = io('input_ids').shape[1] ?? 0;
    await using encoder = await loadEncoder(folder, { tokenizer: numberTokenizer(120), threads: 1 });
    for (const [i, own] of ids.entries()) {
      const document = textDocument(texts[i] ?? '');
      const spans = await tag({ encoder, document });
      let at = 0;
      for (const { label, score, text, start } of spans) {
        const words = text.split(' ');
        expect(text).toBe(
          own
            .slice(at, at + words.length)
            .map(wordOf)
            .join(' '),
        );
        expect(document.text.slice(start, start + text.length)).toBe(text);
        const shares = words.map((_, k) => {
          const from = (i * width + at + k) * 5;
          const row = [...io('logits').data.subarray(from, from + 5)];
          expect(`LABEL_${row.indexOf(Math.max(...row))}`).toBe(label);
          return Math.exp(Math.max(...row)) / row.reduce((sum, x) => sum + Math.exp(x), 0);
        });
        expect(Math.abs(score - shares.reduce((a, b) => a + b) / words.length)).toBeLessThan(1e-4);
        at += words.length;
      }
      expect(at).toBe(own.length);
    }
  });

  it('fill: the largest of the stored logits at a masked place', async () => {
    const folder = join(GOLDEN, 'hf/longformer-mlm');
    const { io, ids, texts } = await caseTexts(folder);
    const [own = []] = ids;
    const masked = own[7] ?? 0;
    const tokenizer = { ...methodsOf(numberTokenizer(100)), maskToken: masked };
    await using encoder = await loadEncoder(folder, { tokenizer, threads: 1 });
    const row = (name: string) => [io(name).data.subarray(0, own.length)];
    const input = { tokenTypes: row('token_type_ids'), globalAttentionMask: row('global_attention_mask') };
    const { gaps } = await fill({ encoder: withInput(encoder, input), text: texts[0] ?? '', top: 3 });
    const places = [...own.keys()].filter((place) => own[place] === masked);
    expect(gaps.length).toBe(places.length);
    for (const [k, place] of places.entries()) {
      const logits = [...io('logits').data.subarray(place * 100, (place + 1) * 100)];
      const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
      const best = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0)).slice(0, 3);
      expect(gaps[k]?.map(({ id }) => id)).toEqual(best);
      for (const { id, probability } of gaps[k] ?? []) {
        expect(Math.abs(probability - Math.exp(logits[id] ?? 0) / total)).toBeLessThan(1e-3);
      }
    }
  });
});
