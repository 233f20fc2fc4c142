/** The encoders that model/ implements, by `model_type` of config.json. */
import { ModelError } from '../../errors.ts';
import { type EncoderArchitecture, TASKS, type Task } from './architecture.ts';
import { bert } from './bert.ts';
import { bigBird } from './bigbird.ts';
import { longformer } from './longformer.ts';
import { modernBert, modernBertDecoder } from './modernbert.ts';
import { roberta } from './roberta.ts';

export const ENCODERS: Readonly<Record<string, EncoderArchitecture>> = {
  bert,
  roberta,
  // The same model of another vocabulary.
  'xlm-roberta': { ...roberta, className: 'XLMRoberta' },
  camembert: { ...roberta, className: 'Camembert' },
  longformer,
  big_bird: bigBird,
  modernbert: modernBert,
  'modernbert-decoder': modernBertDecoder,
};

/** Every class that can be loaded: BertModel, BertForMaskedLM, ... */
export function encoderClasses(): string[] {
  return Object.values(ENCODERS).flatMap(({ className, tasks }) =>
    Object.entries(TASKS).flatMap(([suffix, task]) => (tasks.includes(task) ? [className + suffix] : [])),
  );
}

/**
 * The architecture of a config.json, and the task: `asked`, or that of the class which `architectures` names first.
 * @throws ModelError that lists what is implemented.
 */
export function findEncoder(
  config: Readonly<Record<string, unknown>>,
  source: string,
  asked?: Task,
): { readonly architecture: EncoderArchitecture; readonly task: Task } {
  const { model_type: type, architectures } = config;
  const architecture = typeof type === 'string' && Object.hasOwn(ENCODERS, type) ? ENCODERS[type] : undefined;
  if (architecture === undefined) {
    throw new ModelError(
      `${source}: model_type is ${JSON.stringify(type)}; Farfield implements these encoders: ${Object.keys(ENCODERS).join(', ')}`,
    );
  }
  const { className, tasks } = architecture;
  const first = Array.isArray(architectures) && typeof architectures[0] === 'string' ? architectures[0] : undefined;
  const name = first ?? `${className}Model`;
  if (asked !== undefined && tasks.includes(asked)) return { architecture, task: asked };
  for (const [suffix, task] of Object.entries(TASKS)) {
    if (asked === undefined && name === className + suffix && tasks.includes(task)) return { architecture, task };
  }
  const known = Object.entries(TASKS).flatMap(([suffix, task]) => (tasks.includes(task) ? [className + suffix] : []));
  throw new ModelError(
    asked === undefined
      ? `${source}: architectures names ${name}; for model_type ${String(type)} Farfield implements ${known.join(', ')}`
      : `${source}: task is ${asked}; for model_type ${String(type)} Farfield implements ${tasks.join(', ')}`,
  );
}
