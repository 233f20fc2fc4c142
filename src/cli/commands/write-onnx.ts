import { basename } from 'node:path';
import type { Command } from 'commander';
import { type ExportedOnnx, exportOnnx, type Graph } from '../../graph/index.ts';
import { integer } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { writeOutputStream } from '../output-stream.ts';

/** What every command that writes an ONNX file can be told. */
export interface OnnxFileOptions {
  readonly out: string;
  readonly externalData?: boolean;
  readonly maximumLength?: number;
}

/** Weights from here on go to a file of their own: the model's must stay under 2 GiB. */
const LARGEST_INSIDE = 1.5 * 2 ** 30;

/** `out` is what --out names. */
export function addOnnxFileOptions(command: Command, out: string): Command {
  return command
    .option('--out <file>', out)
    .option(
      '--external-data',
      'put the weights in a file beside it, <file>.data; default: where they take 1.5 GiB or more',
    )
    .option(
      '--maximum-length <tokens>',
      'the longest text for which random blocks are drawn, where the pattern has some',
      integer(1),
    );
}

/** Lowers and writes a graph behind a progress line; gives the files' names. */
export async function writeOnnxFiles(
  graph: Graph,
  weightBytes: number,
  options: OnnxFileOptions,
  { progress, signal }: CommandContext,
): Promise<string[]> {
  const { out, maximumLength, externalData = weightBytes > LARGEST_INSIDE } = options;
  const exported: ExportedOnnx = await exportOnnx(graph, {
    signal,
    ...(maximumLength === undefined ? {} : { maximumLength }),
    ...(externalData ? { externalData: `${basename(out)}.data` } : {}),
  });
  const { externalData: data, model } = exported;
  const files = [out];
  if (data !== undefined) {
    using line = progress({ label: 'writing the weights', unit: 'bytes', total: data.bytes });
    await writeOutputStream(`${out}.data`, data.content(), { onProgress: (bytes) => line.update(bytes), signal });
    files.push(`${out}.data`);
  }
  await writeOutputStream(out, [model], { signal });
  return files;
}
