import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { ArgumentError } from '../../errors.ts';
import { GEOMETRIES, type Geometry } from '../../model/encoder/random.ts';
import { parsePattern } from '../../pattern/index.ts';
import { checkDecoderPeers, decoderPeers, isDecoder } from '../bench/decoder/contenders.ts';
import {
  type ModelContender,
  type ModelContenderName,
  modelContenders,
  modelPeers,
} from '../bench/model/contenders.ts';
import { describeModelBench, type ModelBenchResult } from '../bench/model/report.ts';
import type { Subject } from '../bench/model/subject.ts';
import { peakOfProcess } from '../bench/peak-memory.ts';
import { timeInTurns } from '../bench/timing.ts';
import { addCommand, integer, listOf, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { benchDecoder } from './bench-decoder.ts';

interface Options {
  readonly model?: string;
  readonly geometry?: Geometry;
  readonly pattern?: string;
  readonly positions: 'given' | 'repeat';
  readonly seq: readonly (readonly number[])[];
  readonly compare: readonly string[];
  readonly weights?: 'quantized' | 'f32';
  readonly decode: number;
  readonly threads: number;
  readonly repeat: number;
  readonly layers?: number;
  readonly warmUp: boolean;
  readonly time: boolean;
  readonly memory: boolean;
}

export const registerBenchModel: Register = (bench, start) => {
  addCommand(bench, 'model', {
    summary: 'time a model beside its dense twin and at several lengths, and measure its memory',
    description:
      'Times an encoder on made-up tokens, from token ids to the last hidden state: for each length one run of each contender in turns, ' +
      '--repeat times, after one that is not counted, all in one process. Prints medians. Memory is the peak resident memory of a ' +
      'process of its own for each contender and length, weights included. A geometry has the sizes of a published model and random ' +
      'weights, so nothing is downloaded. A decoder is timed at reading a text and at generating behind it.',
    examples: [
      {
        does: 'Longformer beside RoBERTa, its dense twin',
        command: 'farfield bench model --geometry longformer-base --seq 4096 --compare onnxruntime-dense',
      },
      {
        does: 'a model of your own under a window, at several lengths, and as the file that farfield export writes',
        command:
          'farfield bench model --model all-MiniLM-L6-v2 --pattern window:128 --positions repeat --seq 1024,8192,65536 ' +
          '--compare onnxruntime-export',
      },
      {
        does: 'a decoder under a window and sinks, beside itself dense and its dense twin in ONNX Runtime',
        command:
          'farfield bench model --model model.gguf --pattern "sinks:4+window:1024" --seq 2048,8192 --compare farfield-dense,onnxruntime-dense',
      },
    ],
  })
    .option('--model <path>', 'a folder with config.json and model.safetensors, or of a decoder a .gguf file')
    .addOption(
      new Option('--geometry <name>', 'the sizes of a published model, with random weights').choices(
        Object.keys(GEOMETRIES),
      ),
    )
    .option('--pattern <pattern>', 'what each token sees in layers with full attention; default: all')
    .addOption(
      new Option('--positions <kind>', 'beyond the last learned position: given: refuse; repeat: begin again')
        .choices(['given', 'repeat'])
        .default('given'),
    )
    .addOption(
      new Option(
        '--seq <tokens>',
        'lengths of the text, separated by commas; 64+512 is a batch of two, which Farfield packs and the others pad',
      )
        .argParser(batches)
        .default([[4096]], '4096'),
    )
    .addOption(
      new Option(
        '--compare <names>',
        `others to time, separated by commas: ${modelPeers.join(', ')}; of a decoder ${decoderPeers.join(', ')}`,
      )
        .argParser(listOf([...new Set<string>([...modelPeers, ...decoderPeers])]))
        .default([], 'none'),
    )
    .option('--threads <count>', 'threads of each contender', integer(1), availableParallelism())
    .option('--repeat <times>', 'runs of each that count', integer(1), 3)
    .option('--layers <count>', 'of a geometry, for a quick look; default: as the published model', integer(1))
    .addOption(
      new Option('--weights <kind>', 'of a decoder: quantized: as stored; f32: expanded; default: quantized').choices([
        'quantized',
        'f32',
      ]),
    )
    .option('--decode <tokens>', 'of a decoder: tokens to generate behind each text', integer(1), 32)
    .option('--no-warm-up', 'count the first run too, where a run takes minutes')
    .option('--no-time', 'measure memory only')
    .option('--no-memory', 'measure time only')
    .action(start(benchModel));
};

async function benchModel(options: Options, context: CommandContext): Promise<void> {
  const { model, geometry, positions, seq, threads, repeat } = options;
  if ((model === undefined) === (geometry === undefined)) throw new ArgumentError('give either --model or --geometry');
  const pattern = options.pattern === undefined ? undefined : parsePattern(options.pattern);
  if (model !== undefined && (await isDecoder(model))) {
    const lengths = seq.map(([tokens = 0, ...others]) => {
      if (others.length > 0)
        throw new ArgumentError('--seq: a decoder reads one text at a time; 64+512 is for encoders');
      return tokens;
    });
    const { weights = 'quantized', decode } = options;
    const sees = pattern === undefined ? {} : { pattern };
    const decoder = { model, ...sees, weights, decode, longest: Math.max(...lengths), threads };
    const names = ['farfield' as const, ...checkDecoderPeers(options.compare)];
    await benchDecoder(decoder, { ...options, names, lengths }, context);
    return;
  }
  const subject: Subject = {
    ...(model === undefined ? {} : { model }),
    ...(geometry === undefined ? {} : { geometry }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(options.layers === undefined ? {} : { layers: options.layers }),
    positions,
    longest: Math.max(...seq.flat()),
    threads,
  };
  const names: readonly ModelContenderName[] = ['farfield', ...checkPeers(options.compare)];
  const results = await measure(subject, names, options, context);
  context.result(
    { ...subject, repeat, results },
    describeModelBench(subject, results, { ...options, columns: Math.min(context.columns, 100) }),
  );
}

async function measure(
  subject: Subject,
  names: readonly ModelContenderName[],
  { seq, repeat, warmUp, time, memory }: Options,
  context: CommandContext,
): Promise<ModelBenchResult[]> {
  const { signal } = context;
  const cases = names.length * seq.length;
  using progress = context.progress({
    label: 'measuring',
    unit: 'runs',
    total: cases * ((memory ? 1 : 0) + (time ? repeat + (warmUp ? 1 : 0) : 0)),
  });
  let done = 0;
  const results = seq.flatMap((lengths) => names.map((name): ModelBenchResult => ({ lengths, name })));
  const add = (lengths: readonly number[], name: ModelContenderName, more: Partial<ModelBenchResult>): void => {
    const at = results.findIndex((result) => result.lengths === lengths && result.name === name);
    results[at] = { ...(results[at] ?? { lengths, name }), ...more };
  };
  // First the memory, each in a process of its own, while this one is still small.
  for (const { lengths, name } of memory ? [...results] : []) {
    const args = [name, JSON.stringify({ ...subject, longest: Math.max(...lengths) }), JSON.stringify(lengths)];
    const peakMemoryBytes = await peakOfProcess('./model/peak-memory-process', args, signal);
    add(lengths, name, { peakMemoryBytes });
    progress.update(++done);
  }
  if (!time) return results;
  const prepared: ModelContender[] = [];
  try {
    for (const name of names) prepared.push(await modelContenders[name].prepare(subject, signal));
    for (const lengths of seq) {
      const tokens = lengths.reduce((sum, length) => sum + length, 0);
      const means: Float32Array[] = [];
      const turns = prepared.map((contender, i) => ({
        run: async (signal: AbortSignal) => {
          means[i] = await contender.run(lengths, signal);
        },
      }));
      const onRun = () => progress.update(++done);
      const timings = await timeInTurns(turns, { repeat, signal, warmUps: warmUp ? 1 : 0, onRun });
      for (const [i, name] of names.entries()) {
        const { milliseconds = Number.NaN, runs = [] } = timings[i] ?? {};
        const isSame = i > 0 && modelContenders[name].sparse;
        add(lengths, name, {
          milliseconds,
          runs,
          tokensPerSecond: (1000 * tokens) / milliseconds,
          ...(isSame ? { largestDifference: largestDifference(means[0] ?? [], means[i] ?? []) } : {}),
        });
      }
    }
    return results;
  } finally {
    for (const contender of prepared) await contender[Symbol.asyncDispose]();
  }
}

function checkPeers(names: readonly string[]): ModelContenderName[] {
  return names.map((name) => {
    const found = modelPeers.find((peer) => peer === name);
    if (found === undefined) {
      throw new ArgumentError(`--compare ${name} is for decoders; an encoder has ${modelPeers.join(', ')}`);
    }
    return found;
  });
}

function largestDifference(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  const own = Array.from(ours);
  const largest = Math.max(...own.map(Math.abs));
  return Math.max(...own.map((value, d) => Math.abs(value - (theirs[d] ?? Number.NaN)))) / largest;
}

/** Parses a list of batches: "4096,64+512" is one text of 4,096 tokens, and two. */
function batches(text: string): number[][] {
  const one = integer(1);
  return text.split(',').map((batch) => batch.split('+').map((part) => one(part.trim())));
}
