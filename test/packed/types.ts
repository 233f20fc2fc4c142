// The types of the packed package, as a strict TypeScript project sees them. Compiled, never run.
import { type AttentionResult, attention, type Tensor } from 'farfield';
import { compileMask } from 'farfield/mask';
import { type Pattern, sinks, union, window } from 'farfield/pattern';

const pattern: Pattern = union(window(256), sinks(4));
const mask = compileMask(pattern, { queries: 1024, keys: 1024, heads: 1 });
const tensor: Tensor = { data: new Float32Array(1024 * 64), shape: [1, 1, 1024, 64] };
export const result: Promise<AttentionResult> = attention({ q: tensor, k: tensor, v: tensor, mask });
// A word is not a pattern: this line compiles only while the types say so.
export const wordIsNotAPattern: string extends Pattern ? never : true = true;
