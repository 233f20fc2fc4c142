import { ArgumentError } from '../../../src/errors.ts';
import { parsePattern } from '../../../src/pattern/index.ts';

export const LEAST_TOKENS = 16;
export const MOST_TOKENS = 2 ** 20;
export const MOST_HEADS = 64;
export const MOST_LAYERS = 128;
/** Longest list of patterns for layers. */
export const MOST_LAYER_PATTERNS = 64;

/** All that the address of the page holds. */
export interface PageState {
  /** Text forms, as parsePattern reads them: layer l of the model has patterns[l % patterns.length]. At least one. */
  readonly patterns: readonly string[];
  /** n: queries and keys. */
  readonly tokens: number;
  readonly heads: number;
  /** Number of layers of the model. */
  readonly layers: number;
  /** The head and the layer that are shown. */
  readonly head: number;
  readonly layer: number;
  /** Id of the section that is open, as sections.ts has it. */
  readonly section: string;
  /** What sections remember: their own fields by "section.name". */
  readonly own: Readonly<Record<string, string>>;
}

export const FIRST_STATE: PageState = {
  patterns: ['causal&(sinks:4+window:256)'],
  tokens: 2048,
  heads: 1,
  layers: 12,
  head: 0,
  layer: 0,
  section: 'matrix',
  own: {},
};

/** The part of the address after and with "#". What is as in FIRST_STATE is left out, but the pattern and n. */
export function stateToHash(state: PageState): string {
  const fields = new URLSearchParams();
  for (const pattern of state.patterns) fields.append('pattern', pattern);
  fields.set('n', String(state.tokens));
  for (const name of ['heads', 'layers', 'head', 'layer', 'section'] as const) {
    if (state[name] !== FIRST_STATE[name]) fields.set(name, String(state[name]));
  }
  for (const [name, value] of Object.entries(state.own)) fields.set(name, value);
  return `#${fields}`;
}

/** Reads what stateToHash() wrote; what is absent is as in FIRST_STATE. Throws PatternError and ArgumentError. */
export function stateFromHash(hash: string): PageState {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const given = fields.getAll('pattern');
  const patterns = given.length === 0 ? FIRST_STATE.patterns : given;
  const number = (name: 'heads' | 'layers' | 'head' | 'layer', least: number, most: number): number =>
    readInteger(name, fields.get(name) ?? String(FIRST_STATE[name]), least, most);
  const heads = number('heads', 1, MOST_HEADS);
  const layers = number('layers', 1, MOST_LAYERS);
  const own = Object.fromEntries([...fields].filter(([name]) => name.includes('.')));
  const state: PageState = {
    patterns,
    tokens: readTokens(fields.get('n') ?? String(FIRST_STATE.tokens)),
    heads,
    layers,
    head: number('head', 0, heads - 1),
    layer: number('layer', 0, layers - 1),
    section: fields.get('section') ?? FIRST_STATE.section,
    own,
  };
  checkState(state);
  return state;
}

/** Throws PatternError and ArgumentError for a state that the page cannot show. */
export function checkState(state: PageState): void {
  const { patterns, tokens, heads, layers, head, layer } = state;
  if (patterns.length === 0 || patterns.length > MOST_LAYER_PATTERNS) {
    throw new ArgumentError(
      `there are ${patterns.length} patterns; give 1 to ${MOST_LAYER_PATTERNS}, one for each layer in turn`,
    );
  }
  for (const pattern of patterns) parsePattern(pattern);
  readTokens(String(tokens));
  readInteger('heads', String(heads), 1, MOST_HEADS);
  readInteger('layers', String(layers), 1, MOST_LAYERS);
  readInteger('head', String(head), 0, heads - 1);
  readInteger('layer', String(layer), 0, layers - 1);
}

/** Throws ArgumentError for what is no number of tokens that the page draws. */
export function readTokens(text: string): number {
  return readInteger('tokens', text, LEAST_TOKENS, MOST_TOKENS);
}

function readInteger(name: string, text: string, least: number, most: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new ArgumentError(`${name} is "${text}"; it must be an integer from ${least} to ${most}`);
  }
  return value;
}
