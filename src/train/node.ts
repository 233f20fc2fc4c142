/** The parts of train/ that need Node. */
export * from './data/node.ts';
export { diskFolder } from './save/folder-node.ts';
