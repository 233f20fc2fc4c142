import { Option } from 'commander';
import { openForExport } from '../../model/export-node.ts';
import { formatPattern, parsePattern } from '../../pattern/index.ts';
import { addCommand, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes } from '../format.ts';
import { hubProgress } from './hub-progress.ts';
import { addOnnxFileOptions, type OnnxFileOptions, writeOnnxFiles } from './write-onnx.ts';

interface Options extends OnnxFileOptions {
  readonly model: string;
  readonly to: 'onnx';
  readonly pattern?: string;
}

export const registerExport: Register = (program, start) => {
  addOnnxFileOptions(
    addCommand(program, 'export', {
      summary: 'write a sparse model as an ONNX file that stock runtimes run',
      description:
        'Writes a Llama-family model under an attention pattern as an ONNX file: input_ids and attention_mask to logits, in float32 and ' +
        'in standard operators, for texts of any length in memory that grows with the length alone. onnxruntime-node, ' +
        'onnxruntime-web and others run it without Farfield.',
      examples: [
        {
          does: 'with a window and four sinks',
          command: 'farfield export --model smollm2-135m --to onnx --pattern "sinks:4+window:1024" --out smollm2.onnx',
        },
      ],
    })
      .option(
        '--model <path>',
        'a .gguf file, a .safetensors file, a folder with config.json, or owner/name[:file] on the Hugging Face hub',
      )
      .addOption(new Option('--to <form>', 'what to write').choices(['onnx']).default('onnx'))
      .option(
        '--pattern <pattern>',
        'which earlier tokens each token sees, for example "sinks:4+window:1024"; default: all',
      ),
  ).action(start(exportModel, ['model', 'out']));
};

async function exportModel(options: Options, context: CommandContext): Promise<void> {
  const pattern = options.pattern === undefined ? undefined : parsePattern(options.pattern);
  using download = hubProgress(context);
  const opened = await openForExport(options.model, {
    ...(pattern === undefined ? {} : { pattern }),
    hub: download.hub,
    signal: context.signal,
  });
  try {
    const { graph, weightBytes } = opened;
    const files = await writeOnnxFiles(graph, weightBytes, options, context);
    const form = pattern === undefined ? 'all earlier tokens' : formatPattern(pattern);
    context.result(
      { files, weightBytes, ...(pattern === undefined ? {} : { pattern }) },
      `wrote ${files.join(' and ')}: ${form}, weights ${formatBytes(weightBytes)}`,
    );
  } finally {
    await opened.close();
  }
}
