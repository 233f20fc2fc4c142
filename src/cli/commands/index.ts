import { formatExamples, type Register } from '../command.ts';
import { registerAdvise } from './advise.ts';
import { registerAsk } from './ask.ts';
import { registerBenchAttention } from './bench-attention.ts';
import { registerBenchModel } from './bench-model.ts';
import { registerBenchScaling } from './bench-scaling.ts';
import { registerClassify } from './classify.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { registerEmbed } from './embed.ts';
import { registerExplore } from './explore.ts';
import { registerExport } from './export.ts';
import { registerFill } from './fill.ts';
import { registerGenerate } from './generate.ts';
import { registerLra } from './lra.ts';
import { registerMask } from './mask.ts';
import { registerPerplexity } from './perplexity.ts';
import { registerSparsify } from './sparsify.ts';
import { registerSummarize } from './summarize.ts';
import { registerTag } from './tag.ts';
import { registerTrain } from './train.ts';

const benchExamples = [
  { does: 'the attention operator', command: 'farfield bench attention --pattern window:256' },
  { does: 'a model', command: 'farfield bench model --geometry minilm-l6 --seq 512 --compare onnxruntime-dense' },
  { does: 'how time grows with the text', command: 'farfield bench scaling' },
];

/** Every command, in the order in which the help lists them. */
export const registry: readonly Register[] = [
  registerDemo,
  registerPerplexity,
  registerGenerate,
  registerEmbed,
  registerFill,
  registerClassify,
  registerTag,
  registerAsk,
  registerSummarize,
  registerTrain,
  registerLra,
  registerSparsify,
  registerExport,
  registerAdvise,
  registerMask,
  registerExplore,
  (program, start) => {
    const bench = program
      .command('bench')
      .summary('time Farfield beside others')
      .description('Times Farfield beside others.')
      .addHelpText('after', () => `\n${formatExamples(benchExamples)}`);
    registerBenchAttention(bench, start);
    registerBenchModel(bench, start);
    registerBenchScaling(bench, start);
  },
  registerDoctor,
];
