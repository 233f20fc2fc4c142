/** The parts of train/data/ that need Node. */
export { type ListOptions, listFiles } from './list-files-node.ts';
export { temporaryTokens } from './token-file-node.ts';
