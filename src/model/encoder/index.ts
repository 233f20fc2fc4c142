/** Encoders: one file per architecture, what they share, and what runs them. */
export { TASKS, type Task } from './architecture.ts';
export { ENCODERS, encoderClasses } from './architectures.ts';
export { Encoder, type EncoderOutput, type EncoderRunOptions, type Matrix } from './encoder.ts';
export type { RandomBlockTables } from './layout.ts';
export { type LoadEncoderOptions, loadEncoder } from './load.ts';
export type { EncoderInput } from './sequences.ts';
