export { allows, type Pair } from './allows.ts';
export { checkPattern } from './check.ts';
export { causal, complement, dense, globalTokens, intersect, perHead, sinks, union, window } from './constructors.ts';
export { formatPattern } from './format.ts';
export { distinctHeads, hasPerHead, headPattern } from './heads.ts';
export { parsePatternJson } from './json.ts';
export { parsePattern } from './parse.ts';
export type {
  Causal,
  Complement,
  Dense,
  Global,
  Intersect,
  Pattern,
  PerHead,
  Sinks,
  Union,
  Window,
} from './pattern.ts';
export { type KeyRange, keysVisibleLater, visibleLater } from './visibility.ts';
