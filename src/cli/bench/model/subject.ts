/** What `farfield bench model` measures: an encoder of a folder or a geometry, opened as each contender needs it. */
import { openCheckpoint } from '../../../checkpoint/node.ts';
import { ModelError } from '../../../errors.ts';
import type { EncoderModel, Task } from '../../../model/encoder/architecture.ts';
import { findEncoder } from '../../../model/encoder/architectures.ts';
import { type Geometry, geometryConfig, RandomTensors } from '../../../model/encoder/random.ts';
import { EncoderTensors } from '../../../model/encoder/tensors.ts';
import type { Pattern } from '../../../pattern/index.ts';

/** Plain data: a second process can be given the same. */
export interface Subject {
  /** A folder, where it is not a geometry. */
  readonly model?: string;
  readonly geometry?: Geometry;
  /** Of the geometry. Default: as the published model. */
  readonly layers?: number;
  readonly pattern?: Pattern;
  readonly positions: 'given' | 'repeat';
  /** Tokens of the longest text. */
  readonly longest: number;
  readonly threads: number;
}

export interface OpenedSubject {
  readonly model: EncoderModel;
  readonly task: Task;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: EncoderTensors;
  readonly close: () => Promise<void>;
}

/** With `dense`, the same layers with full attention and one kind of projections: of a Longformer the RoBERTa that it is made of. */
export async function openSubject(subject: Subject, { dense = false } = {}): Promise<OpenedSubject> {
  const { geometry, model: path, pattern, positions, longest } = subject;
  const own = dense ? undefined : pattern;
  if (geometry !== undefined) {
    const config = denseConfig(geometryConfig(geometry, longest, subject.layers), dense);
    const { architecture, task } = findEncoder(config, geometry, 'base');
    const tensors = new RandomTensors();
    const model = architecture.read(config, { source: geometry, task, tensors, pattern: own, positions });
    return { model, task, config, tensors, close: async () => undefined };
  }
  if (path === undefined) throw new ModelError('a model or a geometry is needed');
  const opened = await openCheckpoint(path);
  const { checkpoint } = opened;
  try {
    if (opened.config === undefined) throw new ModelError(`${path}: there is no config.json beside the weights`);
    const source = `${path}: config.json`;
    const { architecture: stored } = findEncoder(opened.config, source, 'base');
    const { prefix, headNames } = stored;
    const config = denseConfig(opened.config, dense);
    const { architecture, task } = findEncoder(config, source, 'base');
    const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames });
    for (const name of checkpoint.names()) {
      if (dense && /_global\.(weight|bias)$/.test(name)) tensors.allow(name.replace(`${prefix}.`, ''));
    }
    const model = architecture.read(config, { source, task, tensors, pattern: own, positions });
    return { model, task, config, tensors, close: () => checkpoint.close() };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

function denseConfig(config: Readonly<Record<string, unknown>>, dense: boolean): Readonly<Record<string, unknown>> {
  if (!dense) return config;
  if (config.model_type === 'longformer') return { ...config, model_type: 'roberta' };
  return config.model_type === 'big_bird' ? { ...config, attention_type: 'original_full' } : config;
}

/** Made-up ids, the same for the same length; none of them one of the special ones at the start of a vocabulary. */
export function idsOf(tokens: number, vocabularySize: number): Int32Array {
  const first = Math.min(1000, vocabularySize >> 1);
  return Int32Array.from({ length: tokens }, (_, i) => first + ((i * 7919) % (vocabularySize - first)));
}

/** 1 for the first token, as classifiers have it. */
export function globalsOf(tokens: number): Uint8Array {
  const globals = new Uint8Array(tokens);
  globals[0] = 1;
  return globals;
}
