/** The parts of train/ that need Node. */
export { diskFolder } from './save/folder-node.ts';
