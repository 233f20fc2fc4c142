/** Weights: safetensors (sharded too), GGUF and PyTorch's .bin, read tensor by tensor. What needs Node is in node.ts. */
export { type ByteSource, blobSource, memorySource } from './byte-source.ts';
export type { Checkpoint, StoredTensor, TensorInfo } from './checkpoint.ts';
export { type GgufCheckpoint, openGguf } from './gguf.ts';
export type { GgufMetadata, GgufValue } from './gguf-metadata.ts';
export { type HubDownload, type HubOptions, type OpenedHub, type OpenHubOptions, openHub } from './hub/open-hub.ts';
export { type QuantizedMatrix, toQuantizedMatrix } from './quantized-matrix.ts';
export { openSafetensors, type SafetensorsCheckpoint } from './safetensors.ts';
export { type TensorToWrite, writeSafetensors } from './safetensors-writer.ts';
export { openSharded } from './sharded.ts';
export type { QuantizedType, ScalarType, StorageType } from './storage-type.ts';
export { readFloat32, toFloat32 } from './to-float32.ts';
export { openTorch } from './torch.ts';
export { type TensorArray, toTypedArray } from './typed-array.ts';
