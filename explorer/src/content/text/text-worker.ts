/** Holds the model and the last two runs, of the pattern and of dense attention. */
import { createDevice, type SparseWeights, type WasmDevice } from '../../../../src/attention/index.ts';
import { causal, formatPattern, intersect, parsePattern } from '../../../../src/pattern/index.ts';
import { answerPosts } from '../../engine/worker-link.ts';
import { readModelFiles } from './model-files.ts';
import type { Answer, ModelFacts, Question, RowFacts, RunFacts } from './questions.ts';
import { TextModel, type TextRun } from './text-model.ts';

/** `farfield explore` serves the package's models here; a copy of the page that is served otherwise has them if it was built so. */
const BUNDLED = new URL(/* @vite-ignore */ '../models/farfield-small/', import.meta.url);

let device: WasmDevice | undefined;
let model: TextModel | undefined;
let runs: { readonly pattern: TextRun; readonly dense: TextRun } | undefined;

answerPosts<Question, Answer>(async (question, onShare) => {
  if (question.kind === 'open') return open(question.files);
  if (question.kind === 'run') return { run: await run(question.ids, question.patterns, onShare) };
  return { row: await row(question.layer, question.head, question.token) };
});

async function open(given: Extract<Question, { kind: 'open' }>['files']): Promise<Answer> {
  const files = given ?? (await bundled());
  if (files === undefined) return {};
  const read = await readModelFiles(files.config, files.safetensors);
  device ??= await createDevice();
  model = await TextModel.create(read, device);
  runs = undefined;
  const { layers, heads, context, patterns } = read.config;
  let parameters = 0;
  for (const { length } of read.weights.values()) parameters += length;
  const facts: ModelFacts = { parameters, layers, heads, context, pattern: formatPattern(patterns?.[0] ?? causal()) };
  return { model: facts };
}

/** The package's model; undefined where the page was put somewhere without it. */
async function bundled(): Promise<{ config: string; safetensors: Uint8Array } | undefined> {
  const get = (name: string): Promise<Response> => fetch(new URL(name, BUNDLED));
  const [config, weights] = await Promise.all([get('config.json'), get('model.safetensors')]);
  for (const { status, url } of [config, weights]) {
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`the model's file ${url} could not be fetched: status ${status}`);
  }
  return { config: await config.text(), safetensors: new Uint8Array(await weights.arrayBuffer()) };
}

async function run(ids: Int32Array, texts: readonly string[], onShare: (share: number) => void): Promise<RunFacts> {
  const own = opened();
  const start = performance.now();
  const patterns = texts.map((text) => parsePattern(text));
  const { layers } = own.config;
  const part = (which: number) => ({ onLayer: (done: number) => onShare((which + done / layers) / 3.5) });
  const pattern = await own.run(ids, patterns, part(0));
  const dense = await own.run(ids, [causal()], part(1));
  const trained = await own.run(ids, undefined, part(2));
  const lost: Float32Array[][] = [];
  for (let layer = 0; layer < layers; layer++) {
    lost.push(await own.lost(dense, layer, intersect(causal(), patterns[layer % patterns.length])));
  }
  runs = { pattern, dense };
  const bits = { pattern: bitsOf(pattern), dense: bitsOf(dense), trained: bitsOf(trained) };
  return { bits, lost, milliseconds: performance.now() - start };
}

function bitsOf({ losses }: TextRun): Float32Array {
  const bits = new Float32Array(losses.length + 1);
  for (const [i, loss] of losses.entries()) bits[i + 1] = loss / Math.LN2;
  return bits;
}

async function row(layer: number, head: number, token: number): Promise<RowFacts> {
  if (runs === undefined) throw new Error('the worker was asked for weights before a text was run');
  const of = async (run: TextRun): Promise<Float32Array> => {
    const weights = await opened().weights(run, layer, { start: token, end: token + 1 });
    return spread(weights[head], run.ids.length);
  };
  return { pattern: await of(runs.pattern), dense: await of(runs.dense) };
}

/** One row written out. */
function spread({ columns, values }: SparseWeights, tokens: number): Float32Array {
  const whole = new Float32Array(tokens);
  for (const [pair, key] of columns.entries()) whole[key] = values[pair];
  return whole;
}

function opened(): TextModel {
  if (model === undefined) throw new Error('the worker was asked before it had a model');
  return model;
}
