/** ONNX files on disk, in Node, with the files of weights beside them. */
import { dirname, join } from 'node:path';
import type { ByteSource } from '../checkpoint/index.ts';
import { fileSource } from '../checkpoint/node.ts';
import { type OnnxModel, readOnnx } from '../graph/index.ts';

export interface OpenedOnnx {
  readonly model: OnnxModel;
  /** Closes the files; weights can no longer be loaded then. */
  close(): Promise<void>;
}

/** Opens a model for reading. Throws CheckpointError as readOnnx() does, and for files that are not there. */
export async function openOnnx(path: string, signal?: AbortSignal): Promise<OpenedOnnx> {
  const files = new Map<string, Promise<ByteSource>>();
  const open = (file: string): Promise<ByteSource> => {
    const known = files.get(file) ?? fileSource(file);
    files.set(file, known);
    return known;
  };
  const close = async (): Promise<void> => {
    for (const file of files.values()) await (await file.catch(() => undefined))?.close?.();
  };
  try {
    const source = await open(path);
    const openExternal = (location: string): Promise<ByteSource> => open(join(dirname(path), location));
    return { model: await readOnnx(source, { openExternal, ...(signal === undefined ? {} : { signal }) }), close };
  } catch (error) {
    await close();
    throw error;
  }
}
