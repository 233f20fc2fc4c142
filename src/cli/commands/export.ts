import { join } from 'node:path';
import { Option } from 'commander';
import { ArgumentError } from '../../errors.ts';
import { openForExport } from '../../model/export-node.ts';
import { TASKS, type Task } from '../../model/index.ts';
import { formatPattern, parsePattern } from '../../pattern/index.ts';
import { addCommand, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes } from '../format.ts';
import { checkOutputFile, makeOutputFolder } from '../output-file.ts';
import { hubProgress } from './hub-progress.ts';
import { noteLeftOut } from './model-options.ts';
import { addOnnxFileOptions, type OnnxFileOptions, writeOnnxFiles } from './write-onnx.ts';

interface Options extends OnnxFileOptions {
  readonly model: string;
  readonly to: 'onnx';
  readonly pattern?: string;
  readonly task?: Task;
  readonly positions: 'given' | 'repeat';
}

export const registerExport: Register = (program, start) => {
  addOnnxFileOptions(
    addCommand(program, 'export', {
      summary: 'write a sparse model as an ONNX file that stock runtimes run',
      description:
        'Writes a decoder (the Llama family, Gemma 2 and 3, OLMo 3, gpt-oss, GPT-2) or an encoder (BERT, RoBERTa, Longformer, BigBird, ' +
        'ModernBERT) under an attention pattern as an ONNX file: input_ids and attention_mask to logits or hidden states, in float32 and ' +
        'in standard operators, for texts of any length in memory that grows with the length alone. An encoder-decoder (LED, ' +
        'BigBird-Pegasus, LongT5) that writes becomes three files in a folder: encoder_model.onnx, decoder_model.onnx and ' +
        'decoder_with_past_model.onnx; an LED or BigBird-Pegasus that classifies or answers is one file. onnxruntime-node, onnxruntime-web and others run them without Farfield.',
      examples: [
        {
          does: 'a Longformer with its own windows: input_ids, attention_mask, global_attention_mask to last_hidden_state',
          command: 'farfield export --model longformer-base-4096 --task base --out longformer.onnx',
        },
        {
          does: 'a sentence encoder for long texts',
          command: 'farfield export --model all-MiniLM-L6-v2 --pattern window:128 --positions repeat --out minilm.onnx',
        },
        {
          does: 'an encoder-decoder, as an encoder and a decoder that begins and one that goes on',
          command: 'farfield export --model led-base-16384 --out led-onnx',
        },
        {
          does: 'an LED that answers: input_ids, attention_mask, global_attention_mask to start_logits and end_logits',
          command: 'farfield export --model led-squad --out led-squad.onnx',
        },
        {
          does: 'a decoder with a window and four sinks',
          command: 'farfield export --model smollm2-135m --to onnx --pattern "sinks:4+window:1024" --out smollm2.onnx',
        },
      ],
    })
      .option(
        '--model <path>',
        'a .gguf file, a .safetensors file, a folder with config.json, or owner/name[:file] on the Hugging Face hub, or farfield-small, which comes with Farfield',
      )
      .addOption(new Option('--to <form>', 'what to write').choices(['onnx']).default('onnx'))
      .option(
        '--pattern <pattern>',
        'what each token sees, for example "sinks:4+window:1024"; a decoder sees earlier tokens only; default: all, or what the model has',
      )
      .addOption(
        new Option(
          '--task <name>',
          'the head of an encoder, or of an LED or BigBird-Pegasus that classifies or answers; default: what config.json says',
        ).choices([...new Set(Object.values(TASKS))]),
      )
      .addOption(
        new Option(
          '--positions <kind>',
          'of an encoder, beyond the last position that it has learned: given: the file fails; repeat: begin again',
        )
          .choices(['given', 'repeat'])
          .default('given'),
      ),
    'the .onnx file to write; of an encoder-decoder that writes, the folder for its three',
  ).action(start(exportModel, ['model', 'out']));
};

async function exportModel(options: Options, context: CommandContext): Promise<void> {
  const given = options.pattern === undefined ? undefined : parsePattern(options.pattern);
  if (options.out.endsWith('.onnx')) await checkOutputFile(options.out, '--out');
  using download = hubProgress(context);
  const opened = await openForExport(options.model, {
    ...(given === undefined ? { trainedPattern: true } : { pattern: given }),
    ...(options.task === undefined ? {} : { task: options.task }),
    positions: options.positions,
    hub: download.hub,
    signal: context.signal,
  });
  try {
    const { parts, pattern } = opened;
    noteLeftOut(opened.leftOut, context);
    const isFolder = parts.length > 1;
    if (isFolder && options.out.endsWith('.onnx')) {
      throw new ArgumentError(
        `an encoder-decoder is ${parts.map(({ name }) => `${name}.onnx`).join(', ')}; let --out name a folder for them`,
      );
    }
    await (isFolder ? makeOutputFolder : checkOutputFile)(options.out, '--out');
    const files: string[] = [];
    const graphs = [];
    for (const { name, graph, weightBytes } of parts) {
      const out = isFolder ? join(options.out, `${name}.onnx`) : options.out;
      const written = await writeOnnxFiles(graph, weightBytes, { ...options, out }, context);
      const [inputs, outputs] = [graph.inputs, graph.outputs].map((values) => values.map((value) => value.name));
      graphs.push({ files: written, inputs, outputs, weightBytes });
      files.push(...written);
    }
    const weightBytes = parts.reduce((sum, part) => sum + part.weightBytes, 0);
    const form = pattern === undefined ? "the model's own attention" : formatPattern(pattern);
    const lines = graphs.map(({ inputs, outputs }) => `${inputs?.join(', ')} -> ${outputs?.join(', ')}`);
    context.result(
      {
        files,
        weightBytes,
        ...(isFolder ? { graphs } : { inputs: graphs[0]?.inputs, outputs: graphs[0]?.outputs }),
        ...(pattern === undefined ? {} : { pattern }),
      },
      [`wrote ${files.join(' and ')}: ${form}, weights ${formatBytes(weightBytes)}`, ...lines].join('\n'),
    );
  } finally {
    await opened.close();
  }
}
