import { FarfieldError } from '../../errors.ts';
import { type FoundAttention, rewriteAttention, type Unmatched } from '../../graph/index.ts';
import { ELEMENT_BYTES } from '../../graph/tensor-data.ts';
import { openOnnx } from '../../model/open-onnx-node.ts';
import { formatPattern, type Pattern, parsePattern } from '../../pattern/index.ts';
import { addCommand, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatTable } from '../format.ts';
import { addOnnxFileOptions, type OnnxFileOptions, writeOnnxFiles } from './write-onnx.ts';

interface Options extends OnnxFileOptions {
  readonly pattern: string;
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
      ],
    })
      .option('--model <file>', 'an .onnx file')
      .option('--pattern <pattern>', 'which pairs attend, for example "global:0+window:128"'),
  ).action(start(sparsify, ['model', 'pattern', 'out']));
};

async function sparsify(options: Options & { readonly model: string }, context: CommandContext): Promise<void> {
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
    context.result({ files, pattern, found, unmatched }, describe(files, pattern, found, unmatched));
  } finally {
    await opened.close();
  }
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
