/** A training as a JSON file: what `farfield train` reads. */
import * as v from 'valibot';
import { ArgumentError } from '../../errors.ts';
import { type Pattern, parsePattern, parsePatternJson } from '../../pattern/index.ts';

const integer = (least: number) => {
  const what = `it must be a whole number from ${least}`;
  return v.pipe(v.number(what), v.safeInteger(what), v.minValue(least, what));
};
const number = (() => {
  const what = 'it must be a finite number from 0';
  return v.pipe(v.number(what), v.finite(what), v.minValue(0, what));
})();
const flag = v.boolean('it must be true or false');
const text = v.string('it must be a text');
const texts = v.array(text, 'it must be a list of texts');
const oneOf = <const Words extends readonly string[]>(...words: Words) =>
  v.picklist(words, `it must be one of ${words.join(', ')}`);

/** A pattern as text, such as "sinks:4+window:256", or as JSON. */
const pattern = v.pipe(
  v.union([text, v.looseObject({})], 'it must be a pattern: a text such as "sinks:4+window:256", or an object'),
  v.transform((value): Pattern => (typeof value === 'string' ? parsePattern(value) : parsePatternJson(value))),
);

const gpt = v.strictObject({
  kind: v.literal('gpt'),
  hiddenSize: integer(1),
  layers: integer(1),
  heads: integer(1),
  keyValueHeads: v.exactOptional(integer(1)),
  intermediateSize: v.exactOptional(integer(1)),
  context: integer(1),
  patterns: v.exactOptional(v.array(pattern, 'it must be a list of patterns')),
  positions: v.exactOptional(oneOf('rotary', 'learned')),
  rotaryBase: v.exactOptional(number),
  activation: v.exactOptional(oneOf('gelu', 'swiglu')),
  normalization: v.exactOptional(oneOf('layer', 'rms')),
  normEpsilon: v.exactOptional(number),
  /** The folder of an earlier training: the weights of its last save, or their average where it has one, begin this one. */
  begin: v.exactOptional(text),
});

/** A Llama as its users download it, to be trained further. */
const checkpoint = v.strictObject({
  kind: v.literal('checkpoint'),
  path: text,
  context: integer(1),
  pattern: v.exactOptional(pattern),
  lora: v.exactOptional(
    v.strictObject({ rank: integer(1), alpha: v.exactOptional(number), targets: v.exactOptional(texts) }),
  ),
});

const model = v.variant('kind', [gpt, checkpoint], 'it must have a kind: gpt or checkpoint');

const data = v.strictObject({
  kind: oneOf('bytes', 'text'),
  tokenizer: v.exactOptional(text),
  files: v.pipe(texts, v.minLength(1, 'it must name at least one file or folder')),
  include: v.exactOptional(texts),
  exclude: v.exactOptional(texts),
  separator: v.exactOptional(text),
  rows: v.exactOptional(integer(1)),
  packing: v.exactOptional(oneOf('documents', 'stream')),
  shuffle: v.exactOptional(flag),
  epochs: v.exactOptional(integer(1)),
  heldOut: v.exactOptional(number),
  splitBy: v.exactOptional(oneOf('document', 'range')),
  validationBatches: v.exactOptional(integer(1)),
});

const rules = v.array(
  v.strictObject({ names: text, weightDecay: v.exactOptional(number), rate: v.exactOptional(number) }),
  'it must be a list of objects with names',
);
const common = { weightDecay: v.exactOptional(number), rules: v.exactOptional(rules) };
const optimizer = v.variant(
  'kind',
  [
    v.strictObject({
      kind: v.literal('adamw'),
      beta1: v.exactOptional(number),
      beta2: v.exactOptional(number),
      epsilon: v.exactOptional(number),
      ...common,
    }),
    v.strictObject({
      kind: v.literal('adafactor'),
      decayExponent: v.exactOptional(number),
      epsilon1: v.exactOptional(number),
      epsilon2: v.exactOptional(number),
      threshold: v.exactOptional(number),
      relative: v.exactOptional(flag),
      ...common,
    }),
    v.strictObject({
      kind: v.literal('lion'),
      beta1: v.exactOptional(number),
      beta2: v.exactOptional(number),
      ...common,
    }),
    v.strictObject({
      kind: v.literal('muon'),
      momentum: v.exactOptional(number),
      beta1: v.exactOptional(number),
      beta2: v.exactOptional(number),
      epsilon: v.exactOptional(number),
      ...common,
    }),
    v.strictObject({
      kind: v.literal('sgd'),
      momentum: v.exactOptional(number),
      nesterov: v.exactOptional(flag),
      ...common,
    }),
  ],
  'it must have a kind: one of adamw, adafactor, lion, muon, sgd',
);

const schedule = v.strictObject({
  shape: oneOf('constant', 'linear', 'cosine'),
  learningRate: number,
  warmUp: v.exactOptional(integer(0)),
  end: v.exactOptional(number),
  steps: v.exactOptional(integer(1)),
});

const schema = v.strictObject({
  model,
  data,
  optimizer: v.exactOptional(optimizer, { kind: 'adamw' }),
  schedule,
  steps: integer(1),
  accumulate: v.exactOptional(integer(1)),
  clip: v.exactOptional(number),
  average: v.exactOptional(number),
  seed: v.exactOptional(integer(0), 0),
  checkpoint: v.exactOptional(
    v.union(
      [oneOf('none', 'attention', 'layer'), integer(1)],
      'it must be none, attention, layer or a number of layers',
    ),
  ),
  precision: v.exactOptional(oneOf('f32', 'f16', 'bf16')),
  lossScaling: v.exactOptional(
    v.strictObject({
      initial: v.exactOptional(integer(1)),
      growAfter: v.exactOptional(integer(1)),
      largest: v.exactOptional(integer(1)),
    }),
  ),
  evaluateEvery: v.exactOptional(integer(1)),
  saveEvery: v.exactOptional(integer(1)),
  keep: v.exactOptional(integer(1)),
  folder: text,
});

/** See docs/training.md for each field. Paths are relative to the file that it was read from. */
export type TrainConfig = v.InferOutput<typeof schema>;
export type OptimizerChoice = TrainConfig['optimizer'];

/**
 * Checks what JSON.parse gave. Unknown fields are refused, so that a misspelt one is not lost.
 * @throws ArgumentError that names the field; PatternError for a pattern that is wrong.
 */
export function parseTrainConfig(value: unknown): TrainConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ArgumentError('configuration: it must be a JSON object');
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return checkTogether(result.output);
  const [issue] = result.issues;
  const place = v.getDotPath(issue);
  if (issue.type === 'strict_object') {
    throw new ArgumentError(`configuration: ${place} ${issue.expected === 'never' ? 'is not a field' : 'is missing'}`);
  }
  throw new ArgumentError(`configuration: ${place} is ${JSON.stringify(issue.input)}; ${issue.message}`);
}

/** What no field shows by itself. */
function checkTogether(config: TrainConfig): TrainConfig {
  const { model, data } = config;
  if (model.kind === 'checkpoint' && data.kind === 'bytes') {
    throw new ArgumentError(
      'configuration: data.kind is "bytes"; a checkpoint reads the tokens of its tokenizer: "text"',
    );
  }
  if (model.kind === 'gpt' && data.kind === 'text' && data.tokenizer === undefined) {
    throw new ArgumentError(
      'configuration: data.tokenizer is missing: the folder of the tokenizer.json to read text with',
    );
  }
  if (data.kind === 'bytes' && data.tokenizer !== undefined) {
    throw new ArgumentError('configuration: data.tokenizer is given, but data.kind is "bytes", which needs none');
  }
  return config;
}
