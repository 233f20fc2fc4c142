/** The parts of checkpoint/ that need Node. */
export { fileSource } from './byte-source-node.ts';
export { localPath } from './hub/local-path-node.ts';
export { type OpenCheckpointOptions, type OpenedCheckpoint, openCheckpoint } from './open-node.ts';
