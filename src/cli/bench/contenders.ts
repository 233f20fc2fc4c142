import { farfield } from './farfield.ts';
import { onnxruntimeDense } from './onnxruntime-dense.ts';
import { onnxruntimeExport } from './onnxruntime-export.ts';
import { onnxruntimeGather } from './onnxruntime-gather.ts';
import type { ContenderFactory } from './problem.ts';

export const contenders = {
  farfield,
  'onnxruntime-dense': onnxruntimeDense,
  'onnxruntime-gather': onnxruntimeGather,
  'onnxruntime-export': onnxruntimeExport,
} as const satisfies Record<string, ContenderFactory>;

export type ContenderName = keyof typeof contenders;

/** What --compare may name. */
export const peers = ['onnxruntime-dense', 'onnxruntime-gather', 'onnxruntime-export'] as const;
