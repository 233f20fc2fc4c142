/** The parts of checkpoint/ that need Node. */
export { fileSource } from './byte-source-node.ts';
export { type OpenedCheckpoint, openCheckpoint } from './open-node.ts';
