/** A training as a JSON file: what `farfield train` reads. */
import * as v from 'valibot';
import { ArgumentError } from '../../errors.ts';
import { type Pattern, parsePattern, parsePatternJson } from '../../pattern/index.ts';
import { type TaskName, tasks } from '../tasks/registry.ts';

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

const layers = {
  hiddenSize: integer(1),
  layers: integer(1),
  heads: integer(1),
  keyValueHeads: v.exactOptional(integer(1)),
  intermediateSize: v.exactOptional(integer(1)),
  activation: v.exactOptional(oneOf('gelu', 'swiglu')),
  normalization: v.exactOptional(oneOf('layer', 'rms')),
  normEpsilon: v.exactOptional(number),
};
const sequenceLayers = {
  ...layers,
  context: integer(1),
  patterns: v.exactOptional(v.array(pattern, 'it must be a list of patterns')),
  positions: v.exactOptional(oneOf('rotary', 'learned')),
  rotaryBase: v.exactOptional(number),
};

const gpt = v.strictObject({
  kind: v.literal('gpt'),
  ...sequenceLayers,
  matches: v.exactOptional(v.array(integer(1), 'it must be a list of sizes, such as [4, 8, 16]')),
  /** The folder of an earlier training: the weights of its last save, or their average where it has one, begin this one. */
  begin: v.exactOptional(text),
});

/** An encoder that learns masked tokens. */
const masked = v.strictObject({ kind: v.literal('masked'), ...sequenceLayers });

/** An encoder that learns classes of sequences, and a vision transformer that learns classes of images. */
const classifier = v.strictObject({
  kind: v.literal('classifier'),
  ...sequenceLayers,
  pooling: v.exactOptional(oneOf('mean', 'first')),
});
const vit = v.strictObject({
  kind: v.literal('vit'),
  ...layers,
  image: v.strictObject({
    height: integer(1),
    width: integer(1),
    channels: v.exactOptional(integer(1)),
    patch: integer(1),
  }),
  attention: v.exactOptional(
    v.union([oneOf('axial', 'dense'), integer(0)], 'it must be axial, dense or the radius of a neighbourhood'),
  ),
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

const model = v.variant(
  'kind',
  [gpt, masked, classifier, vit, checkpoint],
  'it must have a kind: gpt, masked, classifier, vit or checkpoint',
);

const documents = v.strictObject({
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

const classified = {
  sequences: v.exactOptional(integer(1)),
  shuffle: v.exactOptional(flag),
  epochs: v.exactOptional(integer(1)),
  validationBatches: v.exactOptional(integer(1)),
};
/** JSON lines with a label each. */
const labelled = v.strictObject({
  kind: v.literal('labelled'),
  files: v.pipe(texts, v.minLength(1, 'it must name at least one file or folder')),
  include: v.exactOptional(texts),
  exclude: v.exactOptional(texts),
  heldOut: v.exactOptional(number),
  ...classified,
});
/** A task made by code: see tasks/registry.ts. */
const task = v.strictObject({
  kind: v.literal('task'),
  name: oneOf(...(Object.keys(tasks) as TaskName[])),
  trainingSize: v.exactOptional(integer(1)),
  heldOutSize: v.exactOptional(integer(1)),
  ...classified,
});
const data = v.variant('kind', [documents, labelled, task], 'it must have a kind: one of bytes, text, labelled, task');

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
/** Of a model that predicts tokens, and of one that tells classes. */
export type DocumentData = v.InferOutput<typeof documents>;
export type ClassData = v.InferOutput<typeof labelled> | v.InferOutput<typeof task>;

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
  const tellsClasses = model.kind === 'classifier' || model.kind === 'vit';
  if (data.kind === 'labelled' || data.kind === 'task') {
    if (tellsClasses) return config;
    throw new ArgumentError(
      `configuration: data.kind is "${data.kind}", which has classes; a model of the kind "${model.kind}" reads "bytes" or "text"`,
    );
  }
  if (tellsClasses) {
    throw new ArgumentError(
      `configuration: data.kind is "${data.kind}"; a model of the kind "${model.kind}" learns classes: "labelled" or "task"`,
    );
  }
  if (model.kind === 'checkpoint' && data.kind === 'bytes') {
    throw new ArgumentError(
      'configuration: data.kind is "bytes"; a checkpoint reads the tokens of its tokenizer: "text"',
    );
  }
  if (model.kind !== 'checkpoint' && data.kind === 'text' && data.tokenizer === undefined) {
    throw new ArgumentError(
      'configuration: data.tokenizer is missing: the folder of the tokenizer.json to read text with',
    );
  }
  if (data.kind === 'bytes' && data.tokenizer !== undefined) {
    throw new ArgumentError('configuration: data.tokenizer is given, but data.kind is "bytes", which needs none');
  }
  return config;
}
