/** The commands of documents on tiny models of transformers: what they print, --json, exit codes and errors. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { python, storage, tensor, torchFile } from '../../src/checkpoint/test-torch.ts';
import { loadSeq2Seq } from '../../src/model/index.ts';
import { GOLDEN, readJson, readTensors } from './folders.ts';
import { caseRows, farfield, textOf, wordModel, wordOf } from './word-models.ts';

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0);

describe.skipIf(!existsSync(join(GOLDEN, 'hf')))('commands on the models of transformers', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-tasks-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const write = async (name: string, text: string | Uint8Array): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, text);
    return file;
  };
  const near = (got: number, want: number, by = 1e-3) => expect(Math.abs(got - want)).toBeLessThan(by);
  const softmax = (logits: readonly number[]) => {
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
    return logits.map((x) => Math.exp(x) / total);
  };

  it('embed: the mean of the stored hidden states, of text and html', async () => {
    const { io, rows, length } = await caseRows('modernbert');
    const model = await wordModel('modernbert', join(folder, 'embed'), { size: 100 });
    const [one = [], two = []] = rows;
    const files = [await write('one.txt', textOf(one)), await write('two.html', `<p>${textOf(two)}</p>`)];
    const args = ['embed', '--model', model, '--text', ...files, '--threads', '1'];
    const { code, stdout } = await farfield(...args, '--json', '--no-normalize');
    expect(code).toBe(0);
    const { embeddings } = JSON.parse(stdout);
    const wanted = rows.map((ids, row) => {
      const hidden = io('last_hidden_state');
      const width = hidden.shape[2] ?? 0;
      return Array.from({ length: width }, (_, d) =>
        ids.reduce((sum, _, i) => sum + (hidden.data[(row * length + i) * width + d] ?? 0) / ids.length, 0),
      );
    });
    for (const [i, want] of wanted.entries()) {
      expect(embeddings[i]).toMatchObject({ text: files[i], tokens: rows[i]?.length });
      expect(embeddings[i].embedding.length).toBe(want.length);
      for (const [d, x] of want.entries()) near(embeddings[i].embedding[d], x, 1e-4);
    }
    const shown = await farfield(...args);
    const [a = [], b = []] = wanted;
    const cosine = a.reduce((sum, x, d) => sum + x * (b[d] ?? 0), 0) / Math.hypot(...a) / Math.hypot(...b);
    expect(shown.stdout).toContain(cosine.toFixed(3));
    expect(shown.stdout).toMatch(/2 vectors of \d+ numbers \(--json prints them\), [\d.,]+ tokens\/s/);
  });

  it('fill: the largest of the stored logits', async () => {
    const { io, rows } = await caseRows('modernbert-mlm');
    const [ids = []] = rows;
    const masked = ids[9] ?? 0;
    const model = await wordModel(
      'modernbert-mlm',
      join(folder, 'fill'),
      { size: 100 },
      { 'tokenizer_config.json': { mask_token: wordOf(masked) } },
    );
    const places = [...ids.keys()].filter((place) => ids[place] === masked);
    const text = await write('gaps.md', textOf(ids));
    const args = ['fill', '--model', model, '--text', text, '--top', '3', '--threads', '1'];
    const { gaps } = JSON.parse((await farfield(...args, '--json')).stdout);
    const { code, stdout } = await farfield(...args);
    expect(code).toBe(0);
    expect(gaps.length).toBe(places.length);
    for (const [k, place] of places.entries()) {
      const probabilities = softmax([...io('logits').data.subarray(place * 100, (place + 1) * 100)]);
      const best = [...probabilities.keys()].sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
      for (const [j, id] of best.slice(0, 3).entries()) {
        expect(gaps[k][j]).toMatchObject({ id, token: wordOf(id) });
        near(gaps[k][j].probability, probabilities[id] ?? 0);
        expect(stdout).toContain(`${gaps[k][j].probability.toFixed(4)}  ${wordOf(id)}`);
      }
    }
    const none = await farfield('fill', '--model', model, '--text', await write('whole.txt', 'w8 w7'));
    expect(none.code).toBe(1);
    expect(none.stderr).toBe(`farfield: fill: the text has no ${wordOf(masked)}, which marks what is to be found\n`);
    // Under !causal a token sees those after it, and the last has none.
    const later = await farfield(...args, '--pattern', '!causal');
    const last = ids.length - 1;
    expect(later).toMatchObject({
      code: 0,
      stderr: `--pattern: token ${last} of ${ids.length} sees no token, not even itself; attention gives it zeros\n`,
    });
    expect(await farfield(...args, '--pattern', '!dense')).toEqual({
      code: 1,
      stdout: '',
      stderr: `farfield: --pattern: none of ${ids.length} tokens sees any token, not even itself\n`,
    });
  });

  it('tag: spans by the stored logits, with their lines and columns', async () => {
    const { io, rows, length } = await caseRows('longformer-tokencls');
    const [ids = []] = rows;
    const model = await wordModel('longformer-tokencls', join(folder, 'tag'), { size: 120 });
    // A word to a line, behind two blanks.
    const file = await write('words.txt', ids.map((id) => `  ${wordOf(id)}`).join('\n'));
    const args = ['tag', '--model', model, '--text', file, '--threads', '1'];
    const { stdout } = await farfield(...args, '--json');
    const { spans } = JSON.parse(stdout);
    const labels = ids.map((_, i) => {
      const row = [...io('logits').data.subarray(i * 5, (i + 1) * 5)];
      return row.indexOf(Math.max(...row));
    });
    const starts = labels.flatMap((label, i) => (label === labels[i - 1] ? [] : [i]));
    expect(length).toBe(ids.length);
    const printed = (await farfield(...args)).stdout.trimEnd().split('\n');
    expect(spans.length).toBe(starts.length);
    for (const [k, first] of starts.entries()) {
      const end = starts[k + 1] ?? ids.length;
      expect(spans[k]).toMatchObject({
        label: `LABEL_${labels[first]}`,
        place: { start: { line: first + 1, column: 3 } },
      });
      expect(printed[k]).toBe(
        `${spans[k].score.toFixed(4)}  LABEL_${labels[first]}  ${file}:${first + 1}:3  ${textOf(ids.slice(first, end))}`,
      );
    }
  });

  it('ask: the best span by the stored logits, with its place in a page', async () => {
    const { io, rows } = await caseRows('longformer-qa');
    const [ids = []] = rows;
    const first = ids.indexOf(2);
    const [question, body] = [ids.slice(1, first), ids.slice(first + 2, ids.at(-1) === 2 ? -1 : undefined)];
    const closing = ids.at(-1) === 2 ? [2] : [];
    const model = await wordModel('longformer-qa', join(folder, 'ask'), {
      size: 120,
      pair: [ids[0] ?? 0, 'A', 2, 2, 'B', ...closing],
    });
    const page = `<html><body>\n<p>\n${body.map(wordOf).join('\n')}</p></body></html>`;
    const file = await write('page.html', page);
    const args = ['ask', '--model', model, '--text', file, '--question', textOf(question), '--threads', '1'];
    const { answers, tokens, windows } = JSON.parse((await farfield(...args, '--json')).stdout);
    expect({ tokens, windows }).toEqual({ tokens: body.length, windows: 1 });
    const of = (name: string) => {
      const logits = io(name).data;
      return softmax([logits[0] ?? 0, ...logits.subarray(first + 2, first + 2 + body.length)]).slice(1);
    };
    const [starts, ends] = [of('start_logits'), of('end_logits')];
    const pairs = starts.flatMap((start, a) =>
      ends.slice(a, a + 30).map((end, i) => ({ a, b: a + i, score: start * end })),
    );
    const [best = { a: 0, b: 0, score: 0 }] = pairs.sort((x, y) => y.score - x.score);
    near(answers[0].score, best.score);
    const text = textOf(body.slice(best.a, best.b + 1));
    const { start, end } = answers[0].place;
    expect(start.line).toBe(3 + best.a);
    expect(page.slice(start.byte, end.byte)).toBe(text.replaceAll(' ', '\n'));
    expect((await farfield(...args)).stdout).toBe(
      `${answers[0].score.toFixed(4)}  ${file}:${start.line}:1  ${text}\n\n${body.length} tokens in 1 pass\n`,
    );
  });

  it('classify: the classes of several documents, in their order', async () => {
    const { rows } = await caseRows('longformer-seqcls');
    const model = await wordModel('longformer-seqcls', join(folder, 'classify'), { size: 120 });
    const files = [];
    for (const [i, ids] of rows.entries()) files.push(await write(`class${i}.txt`, textOf(ids)));
    const args = ['classify', '--model', model, '--threads', '1', '--text'];
    const { code, stdout } = await farfield(...args, ...files, '--json');
    expect(code).toBe(0);
    const { texts } = JSON.parse(stdout);
    const alone = JSON.parse((await farfield(...args, files[1] ?? '', '--json')).stdout).texts[0];
    expect(texts.map(({ tokens }: { tokens: number }) => tokens)).toEqual(rows.map((ids) => ids.length));
    for (const { classes } of texts)
      near(
        classes.reduce((sum: number, { score }: { score: number }) => sum + score, 0),
        1,
      );
    // What a document is does not depend on those that are read with it.
    for (const [j, { label, score }] of alone.classes.entries()) {
      expect(texts[1].classes[j].label).toBe(label);
      near(texts[1].classes[j].score, score, 1e-5);
    }
    const shown = (await farfield(...args, ...files)).stdout;
    const [{ label, score }] = texts[0].classes;
    expect(shown).toContain(`${files[0]} (${rows[0]?.length} tokens)\n  ${score.toFixed(4)}  ${label}\n`);
  });

  it.each([
    ['led', 100, true],
    ['bigbird-pegasus', 100, false],
    ['longt5-local', 96, false],
    ['longt5-tglobal', 96, false],
  ] as const)('summarize: %s writes what its logits say, greedily and with beams', async (name, size, hasGlobals) => {
    const { rows } = await caseRows(name);
    const model = await wordModel(name, join(folder, name), { size });
    const files = [];
    for (const [i, ids] of rows.entries()) files.push(await write(`${name}${i}.md`, textOf(ids)));
    const args = ['summarize', '--model', model, '--max-tokens', '8', '--threads', '1', '--text'];
    const { code, stdout, stderr } = await farfield(...args, ...files, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { summaries } = JSON.parse(stdout);
    await using whole = await loadSeq2Seq(model, { threads: 1 });
    const { start = 0 } = { start: name.startsWith('longt5') ? 0 : 2 };
    const text = await whole.encode({
      inputIds: rows,
      ...(hasGlobals ? { globalAttentionMask: rows.map((ids) => ids.map((_, i) => (i === 0 ? 1 : 0))) } : {}),
    });
    const scoresOf = async (outputs: number[][]) => {
      const logits = await whole.logits(text, { inputIds: outputs.map((ids) => [start, ...ids]) });
      return outputs.map((ids, i) =>
        [...ids.keys()].map((j) => {
          const row = [...(logits[i]?.data.subarray(j * size, (j + 1) * size) ?? [])];
          return softmax(row).map((x) => Math.log(x));
        }),
      );
    };
    const ids: number[][] = summaries.map((summary: { ids: number[] }) => summary.ids);
    const scores = await scoresOf(ids);
    for (const [i, own] of ids.entries()) {
      expect(summaries[i]).toMatchObject({ file: files[i], tokens: rows[i]?.length, isCut: false, text: textOf(own) });
      expect(own).toEqual(scores[i]?.map((row) => row.indexOf(Math.max(...row))));
    }
    const alone = await farfield(...args, files[0] ?? '');
    expect(alone.stdout.trim()).toBe(textOf(ids[0] ?? []));
    expect(alone.stderr).toContain(`${rows[0]?.length} tokens read, ${ids[0]?.length} written`);

    const searched = JSON.parse(
      (await farfield(...args, ...files, '--beams', '4', '--length-penalty', '0', '--json')).stdout,
    );
    const found: number[][] = searched.summaries.map((summary: { ids: number[] }) => summary.ids);
    const sum = (all: number[][][], outputs: number[][]) =>
      outputs.map((own, i) => own.reduce((total, id, j) => total + (all[i]?.[j]?.[id] ?? Number.NaN), 0));
    const [greedy, beams] = [sum(scores, ids), sum(await scoresOf(found), found)];
    for (const i of rows.keys()) expect(beams[i]).toBeGreaterThanOrEqual((greedy[i] ?? 0) - 1e-4);
    text.dispose();
  });

  it('summarize: the publisher’s settings hold, and options overrule them', async () => {
    const { rows } = await caseRows('led');
    const settings = { max_length: 7, min_length: 7, forced_bos_token_id: 11, forced_eos_token_id: 2, num_beams: 2 };
    const model = await wordModel(
      'led',
      join(folder, 'settings'),
      { size: 100 },
      { 'generation_config.json': settings },
    );
    const file = await write('settings.txt', textOf(rows[0] ?? []));
    const args = ['summarize', '--model', model, '--text', file, '--threads', '1', '--json'];
    const [published] = JSON.parse((await farfield(...args)).stdout).summaries;
    expect(published.ids.length).toBe(6);
    expect([published.ids[0], published.ids.at(-1)]).toEqual([11, 2]);
    const [own] = JSON.parse((await farfield(...args, '--max-tokens', '4', '--length', '20')).stdout).summaries;
    expect(own).toMatchObject({ tokens: 20, isCut: true });
    expect([own.ids.length, own.ids[0], own.ids.at(-1)]).toEqual([4, 11, 2]);
    const long = await write('long.txt', textOf([...(rows[0] ?? []), ...(rows[0] ?? [])]));
    const refused = await farfield('summarize', '--model', model, '--text', long);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toBe(
      'farfield: summarize: texts[0] has 100 tokens and the model 96 positions; with a length its first tokens are read\n',
    );
    const far = await farfield(...args, '--max-tokens', '40');
    expect(far.stderr).toContain('maxTokens is 40 after 1 first token; the decoder has 24 positions');
  });

  it('generate: answers by the chat template, and ends where generation_config.json says', async () => {
    const template = "{% for m in messages %}w{{ 10 + loop.index }} {{ m['content'] }} {% endfor %}w20";
    const model = await wordModel(
      'llama',
      join(folder, 'chat'),
      { size: 80, single: [1, 'A'] },
      { 'tokenizer_config.json': { chat_template: template } },
    );
    const args = ['--model', model, '--max-tokens', '6', '--threads', '1', '--json'];
    const generate = async (...more: string[]) => JSON.parse((await farfield('generate', ...args, ...more)).stdout);
    const chat = await generate('--chat', '--system', 'w7', '--prompt', 'w8 w9');
    // Six tokens, and none that the tokenizer adds.
    expect(chat.promptTokens).toBe(6);
    const { code, stderr, stdout } = await farfield('generate', ...args, '--prompt', 'w11 w7 w12 w8 w9 w20');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout).promptTokens).toBe(7);
    const messages = join(folder, 'messages.json');
    await writeFile(
      messages,
      JSON.stringify([
        { role: 'system', content: 'w7' },
        { role: 'user', content: 'w8 w9' },
      ]),
    );
    expect((await generate('--messages', messages)).ids).toEqual(chat.ids);
    const end = chat.ids[2];
    await writeFile(join(model, 'generation_config.json'), JSON.stringify({ eos_token_id: [end, 79] }));
    const ended = await generate('--messages', messages);
    expect(ended).toMatchObject({ reason: 'end', ids: chat.ids.slice(0, chat.ids.indexOf(end) + 1) });
    const first = chat.ids[0];
    await writeFile(join(model, 'generation_config.json'), JSON.stringify({ eos_token_id: [first, 79] }));
    const plainly = ['--model', model, '--threads', '1', '--prompt'];
    const nothing = await farfield('generate', ...plainly, 'w11 w7 w12 w8 w9 w20');
    expect(nothing).toMatchObject({ code: 0, stdout: '\n' });
    expect(nothing.stderr).toMatch(
      /^7 prompt tokens at [\d.,]+ tokens\/s, 1 token\nthe model ended its text at once; one that was trained to chat answers a prompt with --chat$/m,
    );
    const silent = await farfield('generate', ...plainly, 'w8 w9', '--chat', '--system', 'w7');
    expect(silent.stderr).toMatch(/^the model ended its text at once$/m);
    for (const [more, message] of [
      [['--prompt', 'w8', '--messages', messages], 'give one of --prompt, --prompt-file and --messages'],
      [['--prompt', 'w8', '--system', 'w7'], '--system needs --chat'],
      [['--messages', join(model, 'config.json')], 'config.json: messages are a list of'],
    ] as const) {
      const refused = await farfield('generate', ...args, ...more);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(message);
    }
    const plain = await wordModel('llama', join(folder, 'plain'), { size: 80 });
    const none = await farfield('generate', '--model', plain, '--chat', '--prompt', 'w8');
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('the model has no chat template');
  });

  it('reads encoders from PyTorch’s .bin as from safetensors', async () => {
    const { rows } = await caseRows('longformer-tokencls');
    const model = await wordModel('longformer-tokencls', join(folder, 'safe'), { size: 120 });
    const torch = await wordModel('longformer-tokencls', join(folder, 'torch'), { size: 120 });
    const tensors = await readTensors(GOLDEN, 'hf', 'longformer-tokencls', 'model.safetensors');
    const { checkpoint } = await openCheckpoint(join(torch, 'model.safetensors'));
    const storages: Record<string, Float32Array> = {};
    const entries = checkpoint.names().map((name, i) => {
      const { data, shape } = tensors(name);
      storages[i] = Float32Array.from(data);
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, side) => product * side, 1));
      return [name, tensor(storage('FloatStorage', String(i), data.length), 0, shape, strides)];
    });
    await checkpoint.close();
    await rm(join(torch, 'model.safetensors'));
    const root = python.ordered(Object.fromEntries(entries));
    await writeFile(join(torch, 'pytorch_model.bin'), torchFile({ root, storages }));
    const text = await write('torch.txt', textOf(rows[0] ?? []));
    const run = (folder: string) => farfield('tag', '--model', folder, '--text', text, '--threads', '1', '--json');
    const { code, stdout } = await run(torch);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).spans.length).toBeGreaterThan(1);
    expect(stdout).toBe((await run(model)).stdout);
    const evil = torchFile({ root: python.call(python.global('os', 'system'), python.text('true')), storages: {} });
    await writeFile(join(torch, 'pytorch_model.bin'), evil);
    const refused = await run(torch);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('imports os.system; only tensors are read');
  });

  it.each([
    [
      'tag',
      'longformer-tokencls',
      { hidden_size: 64 },
      /tensor \S+ has shape \[\d+, \d+\]; its configuration says \[\d+, 64\]/,
    ],
    ['tag', 'longformer-tokencls', { num_hidden_layers: 3, attention_window: 8 }, /are missing \(encoder\.layer\.2\./],
    [
      'tag',
      'longformer-tokencls',
      { num_hidden_layers: 1, attention_window: 8 },
      /do not belong to the model \(.*encoder\.layer\.1\./,
    ],
    ['tag', 'longformer-tokencls', { num_attention_heads: 7 }, /hidden_size \d+ over 7 heads/],
    ['tag', 'longformer-tokencls', { vocab_size: undefined }, /config\.json: vocab_size is missing/],
    ['summarize', 'led', { decoder_ffn_dim: 72 }, /tensor \S+fc1\S+ has shape \[80.*\]; its configuration says \[72/],
    ['summarize', 'led', { decoder_layers: 3 }, /are missing \(decoder\.layers\.2\./],
    ['summarize', 'longt5-local', { num_layers: 1 }, /do not belong to the model \(encoder\.block\.1\./],
    ['summarize', 'bigbird-pegasus', { max_position_embeddings: 128 }, /its configuration says \[128, 32\]/],
    ['generate', 'llama', { intermediate_size: 40 }, /mlp/],
    ['generate', 'llama', { num_hidden_layers: 9 }, /layers\.\d/],
    ['generate', 'gemma3', { head_dim: 32 }, /its configuration says \[/],
    ['generate', 'gpt-oss', { num_local_experts: 8 }, /its configuration says \[8/],
    [
      'generate',
      'olmo3',
      { num_hidden_layers: 1, layer_types: ['full_attention'] },
      /do not belong to the model \(model\.layers\.1\./,
    ],
  ] as const)(
    '%s %s: a configuration with %j contradicts the weights, and the tensor is named',
    async (command, name, change, message) => {
      const config = { ...readJson<object>(GOLDEN, 'hf', name, 'config.json'), ...change };
      const into = await mkdtemp(join(folder, 'contradiction-'));
      const model = await wordModel(name, join(into, 'model'), { size: 60 }, { 'config.json': config });
      const text = command === 'generate' ? ['--prompt', 'w8'] : ['--text', await write('some.txt', 'w8 w9')];
      const { code, stdout, stderr } = await farfield(command, '--model', model, ...text);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(message);
    },
  );

  it('says what is wrong with the command line, the document, the model and the tokenizer', async () => {
    const model = await wordModel('longformer-tokencls', join(folder, 'wrong'), { size: 120 });
    const text = await write('text.txt', 'w8 w9');
    const image = await write('photo.txt', PNG);
    const blank = await write('blank.html', '<p> </p>');
    const nothing = await write('nothing.txt', '');
    const large = await wordModel('longformer-tokencls', join(folder, 'large'), { size: 130 });
    const noTokenizer = join(GOLDEN, 'hf/longformer-tokencls');
    for (const [args, code, message] of [
      [['tag', '--text', text], 2, "option '--model <path>' is needed"],
      [['tag', '--model', model], 2, "option '--text <file>' is needed"],
      [['ask', '--model', model, '--text', text], 2, "option '--question <text>' is needed"],
      [['summarize', '--model', model, '--text', text, '--beams', '0'], 2, 'It must be a whole number of at least 1'],
      [['embed', '--model', model, '--text', text, '--pooling', 'max'], 2, 'Allowed choices are mean, cls'],
      [['tag', '--model', model, '--text', join(folder, 'none.txt')], 1, 'none.txt: there is no such file'],
      [['tag', '--model', model, '--text', folder], 1, 'it is a folder'],
      [
        ['tag', '--model', model, '--text', image],
        1,
        'photo.txt: this is a PNG image; a document must be txt, md or html',
      ],
      [['embed', '--model', model, '--text', image], 1, 'this is a PNG image'],
      [['summarize', '--model', model, '--text', image], 1, 'this is a PNG image'],
      [['tag', '--model', large, '--text', text], 1, "ids up to 129, but the model's embedding has 120 rows"],
      [['tag', '--model', noTokenizer, '--text', text], 1, 'tag: the encoder was loaded without a tokenizer'],
      [['ask', '--model', model, '--text', text, '--question', 'w7'], 1, 'qa_outputs.weight'],
      [
        ['summarize', '--model', model, '--text', text],
        1,
        'model_type is "longformer"; Farfield implements these encoder-decoders',
      ],
      [
        ['export', '--model', join(GOLDEN, 'hf/led'), '--out', join(folder, 'led.onnx')],
        1,
        'an encoder-decoder is encoder_model.onnx, decoder_model.onnx, decoder_with_past_model.onnx; let --out name a folder',
      ],
      [
        ['export', '--model', join(GOLDEN, 'hf/led'), '--pattern', 'window:4', '--out', join(folder, 'led')],
        1,
        'a LED has a pattern and positions of its own; leave them out',
      ],
      [
        ['export', '--model', join(GOLDEN, 'hf/fnet'), '--out', join(folder, 'fnet.onnx')],
        1,
        'model_type is "fnet", which cannot be exported; Farfield exports llama, mistral, gpt2',
      ],
      [['classify', '--model', model, '--text', blank], 1, 'blank.html: there is no text in it'],
      [['generate', '--model', model, '--prompt-file', nothing], 1, 'nothing.txt: there is no text in it'],
      [['classify', '--model', join(folder, 'nowhere'), '--text', text], 1, 'there is no such file or folder'],
      [['tag', '--model', model, '--text', text, '--pattern', 'window:4'], 1, 'a Longformer has windows of its own'],
      [['tag', '--model', model, '--text', text, '--pattern', 'windo:4'], 1, 'windo'],
    ] as const) {
      const result = await farfield(...args);
      expect([args.join(' '), result.code, result.stdout]).toEqual([args.join(' '), code, '']);
      expect(result.stderr).toContain(message);
    }
  });
});
