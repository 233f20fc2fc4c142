import { InvalidArgumentError } from 'commander';
import { counted } from '../../counted.ts';
import { DeviceError, FarfieldError } from '../../errors.ts';
import { createNodeBackend, type FoundAttention, type Graph, type Unmatched } from '../../graph/index.ts';
import { ELEMENT_BYTES } from '../../graph/tensor-data.ts';
import { formatPattern, type Pattern, parsePattern } from '../../pattern/index.ts';
import { compareOnnx, type OutputDifference } from '../../task/index.ts';
import { loadTokenizer } from '../../text/node.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCount, formatCounted, formatTable } from '../format.ts';
import { checkOutputFile } from '../output-file.ts';
import { openDocument } from './encoder-options.ts';
import { hubProgress } from './hub-progress.ts';
import { type OpenedDense, openDense } from './open-dense.ts';
import { addOnnxFileOptions, type OnnxFileOptions, writeOnnxFiles } from './write-onnx.ts';

interface Options extends OnnxFileOptions {
  readonly model: string;
  readonly pattern: string;
  readonly layer?: readonly LayerPattern[];
  readonly positions?: number;
  readonly text?: string;
  readonly tokenizer?: string;
  readonly length: number;
}

/** Of operators that ONNX Runtime has. */
const STOCK_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx.ml', 'com.microsoft']);

/** The pattern of some layers. */
interface LayerPattern {
  readonly first: number;
  readonly last: number;
  readonly pattern: Pattern;
}

export const registerSparsify: Register = (program, start) => {
  addOnnxFileOptions(
    addCommand(program, 'sparsify', {
      summary: 'make the dense attention of a model sparse, without training',
      description:
        'Takes a BERT, RoBERTa or Llama checkpoint, or an ONNX file, in which it finds the attention (attention operators, and ' +
        'MatMul-Softmax-MatMul as PyTorch exports it). Replaces it by attention under a pattern, and writes an ONNX file of standard ' +
        'operators. Padding and causality stay as the model has them. What looks like attention and could not be replaced is ' +
        'listed, with the reason.',
      examples: [
        {
          does: 'a window of 128 tokens to either side, and the first token',
          command: 'farfield sparsify --model model.onnx --pattern "global:0+window:128" --out sparse.onnx',
        },
        {
          does: 'a checkpoint, for texts of 4,096 tokens, and how far its outputs move on one',
          command:
            'farfield sparsify --model bert-base-uncased --pattern window:64 --positions 4096 --out sparse.onnx --text book.txt',
        },
        {
          does: 'other patterns in some layers, and by head',
          command:
            'farfield sparsify --model model.onnx --pattern window:64 --layer 0-3=window:16 --layer "11=dense|window:256" --out sparse.onnx',
        },
      ],
    })
      .option('--model <path>', 'an .onnx file; or weights with config.json, or owner/name on the Hugging Face hub')
      .option('--pattern <pattern>', 'which pairs attend, for example "global:0+window:128"; "a|b" by head in turn')
      .option(
        '--layer <layers=pattern>',
        'another pattern in one layer, or in some: 0-3=window:16; may be given again',
        collectLayers,
      )
      .option(
        '--positions <tokens>',
        'extends learned positions to texts of so many tokens: they begin again (Longformer, section 5)',
        integer(1),
      )
      .option('--text <file>', 'txt, md or html on which to compare the outputs with those of the dense model')
      .option('--tokenizer <folder>', 'where tokenizer.json lies; default: beside the model')
      .option('--length <tokens>', 'tokens of the text to read', integer(2), 512),
    'the .onnx file to write',
  ).action(start(sparsify, ['model', 'pattern', 'out']));
};

/** Parses one --layer and adds it to those before it. */
function collectLayers(text: string, before: readonly LayerPattern[] = []): LayerPattern[] {
  const [, first, last = first, pattern] = /^(\d+)(?:-(\d+))?=(.+)$/.exec(text) ?? [];
  if (first === undefined || pattern === undefined || Number(last) < Number(first)) {
    throw new InvalidArgumentError('It must be a layer or a range of layers and a pattern, as 0-3=window:16.');
  }
  try {
    return [...before, { first: Number(first), last: Number(last), pattern: parsePattern(pattern) }];
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

async function sparsify(options: Options, context: CommandContext): Promise<void> {
  const pattern = parsePattern(options.pattern);
  await checkOutputFile(options.out, '--out');
  const text = options.text === undefined ? undefined : (await openDocument(options.text, '--text')).text;
  using download = hubProgress(context);
  const { positions, layer: layers = [] } = options;
  const opened = await openDense(options.model, { positions, hub: download.hub, signal: context.signal });
  try {
    const { graph, found, unmatched } = opened.sparsify({
      pattern: ({ index }) => layers.findLast(({ first, last }) => index >= first && index <= last)?.pattern ?? pattern,
    });
    if (found.length === 0) {
      const reasons = unmatched.map(({ node, why }) => `\n  ${node}: ${why}`).join('');
      throw new FarfieldError(
        `${options.model}: no attention could be replaced${reasons === '' ? '; none was found' : reasons}`,
      );
    }
    const beyond = layers.find(({ last }) => last >= found.length);
    if (beyond !== undefined) {
      throw new FarfieldError(
        `--layer names layer ${beyond.last}; attention was found in ${found.length}, 0 to ${found.length - 1}`,
      );
    }
    const weightBytes = graph.initializers.reduce(
      (sum, { type, shape }) => sum + shape.reduce((product, side) => product * side, ELEMENT_BYTES[type]),
      0,
    );
    const files = await writeOnnxFiles(graph, weightBytes, options, context);
    const compared = text === undefined ? undefined : await compare(opened, graph, text, options, context);
    const { extended } = opened;
    const foreign = graph.nodes
      .filter(({ domain }) => !STOCK_DOMAINS.has(domain) && domain !== 'farfield')
      .map(({ name, domain, operator }) => ({ node: name, operator: `${domain}.${operator}` }));
    const named = foreign.map(({ node, operator }) => `\n  ${node}: ${operator}`).join('');
    context.result(
      { files, pattern, found, unmatched, foreign, extended, ...compared },
      describe(files, pattern, found, unmatched) +
        (named === '' ? '' : `\n\noperators that stock runtimes do not have:${named}`) +
        describeExtended(opened) +
        describeDifferences(compared),
    );
  } finally {
    await opened.close();
  }
}

interface Compared {
  /** Of the text. */
  readonly tokens: number;
  readonly differences: readonly OutputDifference[];
}

/** How far the outputs move on the text. */
async function compare(
  dense: OpenedDense,
  sparse: Graph,
  text: string,
  { tokenizer: folder, length, positions }: Options,
  { signal, progress }: CommandContext,
): Promise<Compared> {
  const tokenizer = await (folder === undefined ? dense.loadTokenizer() : loadTokenizer(folder, { signal }));
  const all = await tokenizer.encodeInPieces(text, { signal });
  const ids = all.subarray(0, length);
  using line = progress({ label: 'comparing', unit: 'steps', total: 4 });
  const backend = await createNodeBackend();
  const onProgress = (done: number) => line.update(done);
  try {
    const differences = await compareOnnx({ dense: dense.graph, sparse, ids, backend, onProgress, signal });
    return { tokens: ids.length, differences };
  } catch (error) {
    if (!(error instanceof DeviceError) || positions !== undefined) throw error;
    throw new DeviceError(
      `${error.message}; where ${ids.length} tokens are more than the model has positions, give --positions or a smaller --length`,
      { cause: error },
    );
  }
}

function describeExtended({ extended }: OpenedDense): string {
  return extended
    .map(({ table, from, to }) => `\n\n${table}: ${formatCount(from)} positions, read again up to ${formatCount(to)}`)
    .join('');
}

function describeDifferences(compared: Compared | undefined): string {
  if (compared === undefined) return '';
  const rows = compared.differences.map(({ output, largestDifference, meanCosine, leastCosine }) => [
    output,
    largestDifference.toPrecision(3),
    meanCosine.toFixed(5),
    leastCosine.toFixed(5),
  ]);
  const head = [`on ${formatCounted(compared.tokens, 'token')}`, 'largest difference', 'mean cosine', 'least'];
  return `\n\n${formatTable([head, ...rows], [1, 2, 3])}`;
}

function describe(
  files: readonly string[],
  pattern: Pattern,
  found: readonly FoundAttention[],
  unmatched: readonly Unmatched[],
): string {
  const rows = found.map(({ node, operator, heads, pattern: own, hasKeyMask }) => [
    node,
    operator,
    heads === undefined ? '' : counted(heads, 'head'),
    `${formatPattern(own)}${hasKeyMask ? ', and its padding' : ''}`,
  ]);
  const left = unmatched.map(({ node, why }) => `\n  ${node}: ${why}`).join('');
  return (
    `wrote ${files.join(' and ')}: ${formatPattern(pattern)}\n\n` +
    `${formatTable(rows)}${left === '' ? '' : `\n\nleft dense:${left}`}`
  );
}
