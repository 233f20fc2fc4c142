/** The decoders that run on DecoderEngine, by `model_type` of config.json. The Llama family has an engine of its own. */
import type { DecoderArchitecture } from './architecture.ts';
import { gemma2, gemma3 } from './gemma.ts';
import { gptOss } from './gpt-oss.ts';
import { gpt2 } from './gpt2.ts';
import { olmo3 } from './olmo3.ts';

export const DECODERS: Readonly<Record<string, DecoderArchitecture>> = {
  gpt2,
  gemma2,
  gemma3_text: gemma3,
  gpt_oss: gptOss,
  olmo3,
};

/** The entry for a config.json; undefined where there is none. */
export function findDecoder(config: Readonly<Record<string, unknown>> | undefined): DecoderArchitecture | undefined {
  const type = config?.model_type;
  return typeof type === 'string' && Object.hasOwn(DECODERS, type) ? DECODERS[type] : undefined;
}
