/**
 * Farfield: sparse attention. This face has what most people need, patterns, masks and the operator; the layers above it have
 * their own: farfield/graph, farfield/checkpoint, farfield/text, farfield/model, farfield/task.
 */
export * from './attention/index.ts';
export * from './errors.ts';
export * from './mask/index.ts';
export * from './pattern/index.ts';
