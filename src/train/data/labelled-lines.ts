/** Sequences with a class each, from JSON lines. */
import * as v from 'valibot';
import { DataError } from '../../errors.ts';
import { type DataFile, FileReader } from './files.ts';
import { type SequenceSet, sequenceSet } from './sequence-set.ts';

const integer = v.pipe(v.number(), v.integer(), v.minValue(0));
const line = v.union([
  v.strictObject({ text: v.string(), label: integer }),
  v.strictObject({ pixels: v.array(v.pipe(integer, v.maxValue(255))), label: integer }),
]);

/**
 * One sequence on each line that is not empty: `{"text": "...", "label": 1}`, whose bytes are the tokens, or
 * `{"pixels": [...], "label": 1}`, numbers from 0 to 255, line by line, channels last. Kept in memory.
 *
 * @throws DataError that names the file and the line, or says that there is no sequence.
 */
export async function readLabelledLines(files: readonly DataFile[], signal?: AbortSignal): Promise<SequenceSet> {
  const tokens: ArrayLike<number>[] = [];
  const labels: number[] = [];
  const encoder = new TextEncoder();
  const reader = new FileReader(files);
  try {
    for (const [i, { name, size }] of files.entries()) {
      signal?.throwIfAborted();
      const text = new TextDecoder().decode(await reader.read(i, 0, size));
      for (const [number, each] of text.split('\n').entries()) {
        if (each.trim() === '') continue;
        const { label, ...sequence } = readLine(each, `${name}, line ${number + 1}`);
        tokens.push('text' in sequence ? encoder.encode(sequence.text) : sequence.pixels);
        labels.push(label);
      }
    }
  } finally {
    await reader.close();
  }
  return sequenceSet({ tokens, labels, vocabularySize: 256 });
}

function readLine(text: string, place: string): v.InferOutput<typeof line> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${place}: is not JSON`, { cause });
  }
  const result = v.safeParse(line, value);
  if (result.success) return result.output;
  throw new DataError(
    `${place}: must be {"text": "...", "label": 1} or {"pixels": [0, ...], "label": 1}, with a label from 0 and pixels up to 255`,
  );
}
