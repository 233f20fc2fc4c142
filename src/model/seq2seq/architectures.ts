/** The encoder-decoders that model/ implements, by `model_type` of config.json. */
import { ModelError } from '../../errors.ts';
import type { Seq2SeqArchitecture } from './architecture.ts';
import { bigBirdPegasus } from './bigbird-pegasus.ts';
import { led } from './led.ts';
import { longT5 } from './longt5.ts';

export const SEQ2SEQ: Readonly<Record<string, Seq2SeqArchitecture>> = {
  led,
  bigbird_pegasus: bigBirdPegasus,
  longt5: longT5,
};

/** Every class that can be loaded: LEDForConditionalGeneration, ... */
export function seq2seqClasses(): string[] {
  return Object.values(SEQ2SEQ).map(({ className }) => `${className}ForConditionalGeneration`);
}

/** @throws ModelError that lists what is implemented. */
export function findSeq2Seq(config: Readonly<Record<string, unknown>>, source: string): Seq2SeqArchitecture {
  const { model_type: type } = config;
  const found = typeof type === 'string' && Object.hasOwn(SEQ2SEQ, type) ? SEQ2SEQ[type] : undefined;
  if (found !== undefined) return found;
  throw new ModelError(
    `${source}: model_type is ${JSON.stringify(type)}; Farfield implements these encoder-decoders: ${Object.keys(SEQ2SEQ).join(', ')}`,
  );
}
