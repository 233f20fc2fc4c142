import { dirname } from 'node:path';
import { FarfieldError } from '../../errors.ts';
import {
  createNodeBackend,
  type FoundAttention,
  type Graph,
  rewriteAttention,
  type Unmatched,
} from '../../graph/index.ts';
import { ELEMENT_BYTES } from '../../graph/tensor-data.ts';
import { openOnnx } from '../../model/open-onnx-node.ts';
import { formatPattern, type Pattern, parsePattern } from '../../pattern/index.ts';
import { compareOnnx, type OutputDifference } from '../../task/index.ts';
import { loadTokenizer } from '../../text/node.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatTable } from '../format.ts';
import { readText } from './model-options.ts';
import { addOnnxFileOptions, type OnnxFileOptions, writeOnnxFiles } from './write-onnx.ts';

interface Options extends OnnxFileOptions {
  readonly model: string;
  readonly pattern: string;
  readonly text?: string;
  readonly tokenizer?: string;
  readonly length: number;
}

export const registerSparsify: Register = (program, start) => {
  addOnnxFileOptions(
    addCommand(program, 'sparsify', {
      summary: 'make the dense attention of an ONNX model sparse, without training',
      description:
        'Finds the attention in an ONNX file (attention operators, and MatMul-Softmax-MatMul as PyTorch exports it), replaces it by ' +
        'attention under a pattern in standard operators, and writes the model anew. Padding and causality stay as the model has ' +
        'them. What looks like attention and could not be replaced is listed, with the reason.',
      examples: [
        {
          does: 'a window of 128 tokens to either side, and the first token',
          command: 'farfield sparsify --model model.onnx --pattern "global:0+window:128" --out sparse.onnx',
        },
        {
          does: 'and how far its outputs move on a text, with tokenizer.json beside the model',
          command: 'farfield sparsify --model model.onnx --pattern window:64 --out sparse.onnx --text book.txt',
        },
      ],
    })
      .option('--model <file>', 'an .onnx file')
      .option('--pattern <pattern>', 'which pairs attend, for example "global:0+window:128"')
      .option('--text <file>', 'a UTF-8 text on which to compare the outputs with those of the dense model')
      .option('--tokenizer <folder>', 'where tokenizer.json lies; default: beside the model')
      .option('--length <tokens>', 'tokens of the text to read', integer(2), 512),
  ).action(start(sparsify, ['model', 'pattern', 'out']));
};

async function sparsify(options: Options, context: CommandContext): Promise<void> {
  const pattern = parsePattern(options.pattern);
  const opened = await openOnnx(options.model, context.signal);
  try {
    const { graph, found, unmatched } = rewriteAttention(opened.model, { pattern });
    if (found.length === 0) {
      const reasons = unmatched.map(({ node, why }) => `\n  ${node}: ${why}`).join('');
      throw new FarfieldError(
        `${options.model}: no attention could be replaced${reasons === '' ? '; none was found' : reasons}`,
      );
    }
    const weightBytes = graph.initializers.reduce(
      (sum, { type, shape }) => sum + shape.reduce((product, side) => product * side, ELEMENT_BYTES[type]),
      0,
    );
    const files = await writeOnnxFiles(graph, weightBytes, options, context);
    const differences = await compare(opened.model.graph, graph, options, context);
    context.result(
      { files, pattern, found, unmatched, ...(differences === undefined ? {} : { differences }) },
      describe(files, pattern, found, unmatched) + describeDifferences(differences),
    );
  } finally {
    await opened.close();
  }
}

/** How far the outputs move on the text, where one was given. */
async function compare(
  dense: Graph,
  sparse: Graph,
  { text, tokenizer: folder, model, length }: Options,
  { signal }: CommandContext,
): Promise<OutputDifference[] | undefined> {
  if (text === undefined) return undefined;
  const tokenizer = await loadTokenizer(folder ?? dirname(model));
  const ids = tokenizer.encode(await readText(text, '--text'), { addSpecialTokens: true }).slice(0, length);
  return compareOnnx({ dense, sparse, ids, backend: await createNodeBackend(), signal });
}

function describeDifferences(differences: readonly OutputDifference[] | undefined): string {
  if (differences === undefined) return '';
  const rows = differences.map(({ output, largestDifference, meanCosine, leastCosine }) => [
    output,
    largestDifference.toPrecision(3),
    meanCosine.toFixed(5),
    leastCosine.toFixed(5),
  ]);
  const head = ['beside dense', 'largest difference', 'mean cosine', 'least'];
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
    heads === undefined ? '' : `${heads} heads`,
    `${formatPattern(own)}${hasKeyMask ? ', and its padding' : ''}`,
  ]);
  const left = unmatched.map(({ node, why }) => `\n  ${node}: ${why}`).join('');
  return (
    `wrote ${files.join(' and ')}: ${formatPattern(pattern)}\n\n` +
    `${formatTable(rows)}${left === '' ? '' : `\n\nleft dense:${left}`}`
  );
}
