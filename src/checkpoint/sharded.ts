/**
 * Weights in several files under an index (`model.safetensors.index.json`, `pytorch_model.bin.index.json`), as transformers'
 * `save_pretrained` writes them: { metadata: { total_size }, weight_map: { tensor name: file name } }.
 */
import { CheckpointError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { findTensor } from './checkpoint.ts';
import { openSafetensors, type SafetensorsCheckpoint } from './safetensors.ts';
import { openTorch } from './torch.ts';

/**
 * Opens the shards that an index names, each through `openShard`, which gets a plain file name that lies beside the index.
 * Tensors are read from the shard that the index names. Throws CheckpointError where a shard lacks a tensor it should have.
 */
export async function openSharded(
  indexJson: string,
  indexName: string,
  openShard: (fileName: string) => Promise<ByteSource>,
): Promise<SafetensorsCheckpoint> {
  const fileOf = parseIndex(indexJson, indexName);
  const shards = new Map<string, SafetensorsCheckpoint>();
  const close = async () => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    for (const file of new Set(fileOf.values())) {
      const source = await openShard(file);
      shards.set(file, await closeOnFailure(source, file));
    }
    const owner = new Map<string, SafetensorsCheckpoint>();
    for (const [name, file] of fileOf) {
      const shard = shards.get(file);
      if (!shard?.has(name)) {
        throw new CheckpointError(`${indexName}: says that tensor "${name}" is in ${file}, but it is not`);
      }
      owner.set(name, shard);
    }
    return {
      metadata: shards.values().next().value?.metadata ?? new Map(),
      names: () => [...owner.keys()],
      has: (name) => owner.has(name),
      info: (name) => findTensor(owner, name, indexName).info(name),
      read: async (name) => findTensor(owner, name, indexName).read(name),
      readRows: async (name, first, count) => findTensor(owner, name, indexName).readRows(name, first, count),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function closeOnFailure(source: ByteSource, file: string): Promise<SafetensorsCheckpoint> {
  try {
    if (file.endsWith('.safetensors')) return await openSafetensors(source);
    return { ...(await openTorch(source)), metadata: new Map() };
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

function parseIndex(json: string, indexName: string): Map<string, string> {
  let index: unknown;
  try {
    index = JSON.parse(json);
  } catch (cause) {
    throw new CheckpointError(`${indexName}: is not JSON`, { cause });
  }
  const map = typeof index === 'object' && index !== null && 'weight_map' in index ? index.weight_map : undefined;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new CheckpointError(`${indexName}: has no "weight_map" from tensor names to file names`);
  }
  const fileOf = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isPlainFileName(file)) {
      throw new CheckpointError(
        `${indexName}: tensor "${name}" is to be in ${JSON.stringify(file)}, which is not the plain name of a file beside the index`,
      );
    }
    fileOf.set(name, file);
  }
  return fileOf;
}

/** An index that somebody else wrote must not reach outside its folder. */
function isPlainFileName(file: string): boolean {
  return file !== '' && file !== '.' && file !== '..' && !/[/\\:\0]/.test(file);
}
