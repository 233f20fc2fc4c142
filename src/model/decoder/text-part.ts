/** The decoder of texts inside a model of texts and pictures: Gemma 3 from 4b on (Gemma3ForConditionalGeneration). */
import type { Checkpoint } from '../../checkpoint/index.ts';
import { CheckpointError, ModelError } from '../../errors.ts';

/** By the `model_type` of such models: what the fields of `text_config` are where a file leaves them out. */
const PICTURE_MODELS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  // Gemma3TextConfig of transformers; the published files write what differs from it.
  gemma3: {
    model_type: 'gemma3_text',
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131_072,
    sliding_window: 4096,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
  },
};

/** The model types whose text part is read. */
export const PICTURE_MODEL_TYPES: readonly string[] = Object.keys(PICTURE_MODELS);

/** Ways of naming the text part's tensors: published files before transformers 5, and after. The last part is the name in a text model. */
const TEXT_NAMES = [
  [/^language_model\.(model\.|lm_head\.)/, '$1'],
  [/^model\.language_model\./, 'model.'],
  [/^lm_head\./, 'lm_head.'],
] as const;

/** Parts that see, under either naming. */
const PICTURE_NAMES = /^(?:model\.)?(vision_tower|multi_modal_projector)\./;

export interface TextPart {
  readonly config: Readonly<Record<string, unknown>>;
  /** The tensors of the text part under the names of a model of texts alone; what is no part of a picture model keeps its name. */
  readonly checkpoint: Checkpoint;
  /** The parts that are left out, with their numbers of tensors; empty where the model is one of texts alone. */
  readonly leftOut: Readonly<Record<string, number>>;
}

/** A model of texts alone is given back as it is. @throws ModelError where `text_config` is not there. */
export function textPart(config: Readonly<Record<string, unknown>>, checkpoint: Checkpoint, source: string): TextPart {
  const { model_type: type, text_config: own } = config;
  const defaults = typeof type === 'string' && Object.hasOwn(PICTURE_MODELS, type) ? PICTURE_MODELS[type] : undefined;
  if (defaults === undefined) return { config, checkpoint, leftOut: {} };
  if (typeof own !== 'object' || own === null) {
    throw new ModelError(
      `${source}: model_type is "${type}", a model of texts and pictures, and text_config is missing`,
    );
  }
  const leftOut: Record<string, number> = {};
  /** By the name in a text model: the name in the file. */
  const stored = new Map<string, string>();
  for (const name of checkpoint.names()) {
    const [, part] = PICTURE_NAMES.exec(name) ?? [];
    if (part !== undefined) {
      leftOut[part] = (leftOut[part] ?? 0) + 1;
      continue;
    }
    const [pattern, replacement] = TEXT_NAMES.find(([pattern]) => pattern.test(name)) ?? [/^/, ''];
    stored.set(name.replace(pattern, replacement), name);
  }
  return { config: { ...defaults, ...own }, checkpoint: renamed(checkpoint, stored), leftOut };
}

/** A checkpoint of some tensors of another, under other names. */
function renamed(checkpoint: Checkpoint, stored: ReadonlyMap<string, string>): Checkpoint {
  const nameOf = (name: string): string => {
    const found = stored.get(name);
    if (found === undefined) throw new CheckpointError(`no tensor "${name}" in the text part of the model`);
    return found;
  };
  return {
    names: () => [...stored.keys()],
    has: (name) => stored.has(name),
    info: (name) => ({ ...checkpoint.info(nameOf(name)), name }),
    read: async (name) => ({ ...(await checkpoint.read(nameOf(name))), name }),
    readRows: async (name, first, count) => ({ ...(await checkpoint.readRows(nameOf(name), first, count)), name }),
    close: () => checkpoint.close(),
  };
}
