/** The part of Hugging Face's tokenizer.json that is looked at here; the rest is passed on to the library. */
import { TextError } from '../errors.ts';

/** A step: an object with a `type` and its own parameters. */
export interface Step {
  readonly type: string;
  readonly [parameter: string]: unknown;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly rstrip: boolean;
  readonly [parameter: string]: unknown;
}

export interface TokenizerDefinition {
  readonly normalizer: Step | null;
  readonly pre_tokenizer: Step | null;
  readonly model: { readonly [parameter: string]: unknown };
  readonly post_processor: Step | null;
  readonly decoder: Step | null;
  readonly added_tokens: readonly AddedToken[];
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks the outer form of a parsed tokenizer.json. Throws TextError that names the part that is wrong. */
export function readDefinition(json: unknown, source: string): TokenizerDefinition {
  if (!isObject(json)) throw new TextError(`${source}: a tokenizer.json must be an object`);
  const { model, added_tokens: added = [] } = json;
  if (!isObject(model) || (!isObject(model.vocab) && !Array.isArray(model.vocab))) {
    throw new TextError(`${source}: has no "model" with a "vocab"; is it a tokenizer.json?`);
  }
  if (!Array.isArray(added)) throw new TextError(`${source}: "added_tokens" must be a list`);
  return {
    normalizer: readStep(json.normalizer, 'normalizer', source),
    pre_tokenizer: readStep(json.pre_tokenizer, 'pre_tokenizer', source),
    model,
    post_processor: readStep(json.post_processor, 'post_processor', source),
    decoder: readStep(json.decoder, 'decoder', source),
    added_tokens: added.map((token: unknown) => readAddedToken(token, source)),
  };
}

function readStep(value: unknown, part: string, source: string): Step | null {
  if (value === undefined || value === null) return null;
  if (isStep(value)) return value;
  throw new TextError(`${source}: "${part}" must be an object with a "type"`);
}

export function isStep(value: unknown): value is Step {
  return isObject(value) && typeof value.type === 'string';
}

function readAddedToken(token: unknown, source: string): AddedToken {
  if (isObject(token) && typeof token.content === 'string' && isTokenId(token.id)) {
    const { content, id } = token;
    return { ...token, content, id, special: token.special === true, rstrip: token.rstrip === true };
  }
  throw new TextError(`${source}: added token ${JSON.stringify(token)} needs a "content" and an "id"`);
}

function isTokenId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < 2 ** 31;
}
