/** Which files of a repository a model needs. */
import { counted } from '../../counted.ts';
import { HubError } from '../../errors.ts';
import { checkRelative, nearestNames } from './repository.ts';

/** What loaders read beside weights. */
const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
const BESIDE = ['config.json', 'generation_config.json', 'special_tokens_map.json', ...TOKENIZER];
const INDEX = '.index.json';
const WEIGHTS = ['model.safetensors.index.json', 'model.safetensors', '*.safetensors', 'model.gguf', '*.gguf'];
/** Only where there is nothing better: they are larger to read and older. */
const PICKLED = ['pytorch_model.bin.index.json', 'pytorch_model.bin', '*.bin'];

export interface ChosenFiles {
  readonly files: readonly string[];
  /** The file among them that is opened; an index names more files. */
  readonly weights?: string;
}

/**
 * Chooses among the names of a repository's files. `file` is the one that the id named. `source` names the repository in errors.
 * @throws HubError where the file is not there (with the nearest names), or there are no weights, or several.
 */
export function chooseFiles(
  names: readonly string[],
  wanted: 'model' | 'tokenizer' | readonly string[],
  file: string | undefined,
  source: string,
): ChosenFiles {
  if (typeof wanted !== 'string') {
    const all = file === undefined ? wanted : [file, ...wanted];
    for (const name of all) requireFile(names, name, source);
    return { files: [...new Set(all)], ...(file === undefined ? {} : { weights: file }) };
  }
  if (wanted === 'tokenizer') return { files: filesBeside(names, TOKENIZER, file) };
  if (file !== undefined) requireFile(names, file, source);
  const weights = file ?? chooseWeights(names, source);
  const external = names.filter((name) => name === `${weights}_data` || name === `${weights}.data`);
  const beside = weights.endsWith('.gguf') ? [] : filesBeside(names, BESIDE, weights);
  return { files: [...beside, weights, ...external], weights };
}

/** The shards that an index names, each once. @throws HubError where the index is not one or names what is not there. */
export function shardsOf(index: string, indexName: string, names: readonly string[], source: string): string[] {
  const folder = indexName.slice(0, indexName.lastIndexOf('/') + 1);
  let shards: string[];
  try {
    const { weight_map } = JSON.parse(index) as { weight_map?: unknown };
    if (typeof weight_map !== 'object' || weight_map === null) throw new TypeError('there is no weight_map');
    shards = [...new Set(Object.values(weight_map))].map((name) => {
      if (typeof name !== 'string') throw new TypeError(`weight_map names ${JSON.stringify(name)}`);
      return folder + name;
    });
  } catch (cause) {
    throw new HubError('content', `${source}: ${indexName} is not an index of shards`, { cause });
  }
  for (const shard of shards) {
    checkRelative(shard, `${source}: ${indexName}: the shard`);
    requireFile(names, shard, `${source}: ${indexName}`);
  }
  return shards;
}

export function isIndex(name: string | undefined): name is string {
  return name?.endsWith(INDEX) === true;
}

function chooseWeights(names: readonly string[], source: string): string {
  const top = names.filter((name) => !name.includes('/'));
  for (const name of [...WEIGHTS, ...PICKLED]) {
    const found = name.startsWith('*') ? top.filter((each) => each.endsWith(name.slice(1)) && isWeights(each)) : [name];
    const [only] = found;
    if (found.length > 1) {
      throw new HubError(
        'argument',
        `${source}: has several files of weights; name one of them after a colon, as ${source}:${only}. They are ${found.join(', ')}`,
      );
    }
    if (only !== undefined && top.includes(only)) return only;
  }
  const others = names.filter((name) => name.includes('/') && isWeights(name));
  const hint =
    others.length === 0 ? '' : `; in folders, to be named after a colon, it has ${others.slice(0, 8).join(', ')}`;
  throw new HubError(
    'absent',
    `${source}: has no *.safetensors, *.gguf or *.bin among its ${counted(names.length, 'file')}${hint}`,
  );
}

/** training_args.bin and optimizers are no weights. */
function isWeights(name: string): boolean {
  return /\.(safetensors|gguf|bin|onnx)$/.test(name) && !/(^|\/)(training_args|optimizer|scheduler)\.bin$/.test(name);
}

/** In the weights' own folder, and at the top, where repositories of .onnx files have them. */
function filesBeside(names: readonly string[], looked: readonly string[], file: string | undefined): string[] {
  const folder = file?.slice(0, file.lastIndexOf('/') + 1) ?? '';
  const all = [...new Set(['', folder])].flatMap((at) => looked.map((name) => at + name));
  return all.filter((name) => names.includes(name));
}

function requireFile(names: readonly string[], name: string, source: string): void {
  if (names.includes(name)) return;
  const near = nearestNames(name, names);
  const shown =
    near.length > 0 ? `nearest are ${near.join(', ')}` : `there are ${names.slice(0, 12).join(', ') || 'none'}`;
  throw new HubError('absent', `${source}: there is no file ${name}; ${shown}`);
}
