/** The parts of text/ that need Node. */
export { loadTokenizer } from './load-node.ts';
