/**
 * Writes a trained farfield-small as the folder that the package brings:
 *
 *     node training/farfield-small/export.ts [--from sixth.json] [--to models/farfield-small]
 *
 * `--from` is the configuration of the training, whose folder's last save is taken: the average of its weights, rounded to f16.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gptCheckpoint, gptSpecifications } from '../../src/model/index.ts';
import { byteVocabulary, parseTrainConfig, savedWeights, saveFolder } from '../../src/train/index.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const { values } = parseArgs({
  options: {
    from: { type: 'string', default: join(here, 'sixth.json') },
    to: { type: 'string', default: join(here, '../../models/farfield-small') },
  },
});
const { model, folder } = parseTrainConfig(JSON.parse(await readFile(values.from, 'utf8')));
if (model.kind !== 'gpt') throw new Error(`${values.from} describes no gpt`);
const { kind: _, begin: __, ...sizes } = model;
const config = { ...sizes, vocabularySize: byteVocabulary.size };
const weights = await savedWeights(await saveFolder(resolve(dirname(values.from), folder)), { average: 'preferred' });
const parameters = gptSpecifications(config).map(({ name, shape }) => {
  const data = weights.get(name);
  if (data === undefined) throw new Error(`the save has no ${name}`);
  return { name, shape, data };
});
await mkdir(values.to, { recursive: true });
for (const [name, pieces] of gptCheckpoint(config, parameters, { storage: 'f16' })) {
  await writeFile(join(values.to, name), Buffer.concat([...pieces]));
}
process.stdout.write(`${values.to}\n`);
