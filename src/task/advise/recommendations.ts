import { causal, dense, globalTokens, intersect, type Pattern, sinks, union, window } from '../../pattern/index.ts';
import * as from from './sources.ts';

/** One pattern with its parameters, and why. */
export interface Recommendation {
  readonly id: string;
  /** What it is, in a few words. */
  readonly name: string;
  readonly source: from.Source;
  /** What the source says, and no more. */
  readonly claim: string;
  /** Why it suits, in plain words. */
  readonly why: string;
  /** What to know before using it; empty where there is nothing. */
  readonly note: string;
  /** No query looks ahead: a text can be read in one pass that keeps only what the pattern still sees. */
  readonly isCausal: boolean;
  /** Values of the parameter, the source's first. A smaller one is chosen where memory is short. */
  readonly sizes: readonly number[];
  /** The patterns of consecutive layers, repeated; most have one. */
  readonly layers: (length: number, size: number) => readonly Pattern[];
}

function positions(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Rows and columns of the squarest grid that holds all tokens. */
function square(length: number): [number, number] {
  const columns = Math.max(1, Math.round(Math.sqrt(length)));
  return [Math.ceil(length / columns), columns];
}

const longformerFirst: Recommendation = {
  id: 'longformer-first',
  name: 'a window, and the first token global (Longformer)',
  source: from.longformer,
  claim: 'Classification gives the [CLS] token global attention; pretraining uses a window of 512, 256 to either side.',
  why: 'Each token reads its surroundings, and the first one reads, and is read by, the whole text in every layer.',
  note: '',
  isCausal: false,
  sizes: [256],
  layers: (_, size) => [union(window(size), globalTokens({ positions: [0] }))],
};

const longformerQuestion: Recommendation = {
  id: 'longformer-question',
  name: 'a window, and the question global (Longformer)',
  source: from.longformer,
  claim:
    'Question answering gives all question tokens global attention; pretraining uses a window of 512, 256 to either side.',
  why: 'The question sees the whole text and the whole text sees the question in every layer; the rest reads its surroundings.',
  note: 'Positions 0 to 31 stand for a question of 32 tokens before the text; give those of yours.',
  isCausal: false,
  sizes: [256],
  layers: (_, size) => [union(window(size), globalTokens({ positions: positions(32) }))],
};

const ledEncoder: Recommendation = {
  id: 'led-encoder',
  name: 'a wide window, and the first token global (LED)',
  source: from.led,
  claim:
    'The encoder of LED uses a window of 1,024 tokens and global attention on the first one, and summarizes arXiv papers.',
  why: 'A summary draws on all of the text; a window twice as wide as for classification, and a token that gathers.',
  note: 'This is the encoder; its decoder is short and stays dense.',
  isCausal: false,
  sizes: [512, 256],
  layers: (_, size) => [union(window(size), globalTokens({ positions: [0] }))],
};

const bigBird: Recommendation = {
  id: 'big-bird',
  name: 'a window, global and random blocks (BigBird)',
  source: from.bigBird,
  claim:
    'Window, global and random blocks together; question answering and summarization improve with the longer context.',
  why: 'Two global blocks join everything in two steps, and all pairs lie in whole blocks, which is what kernels do best.',
  note: 'The global blocks are the first 128 tokens: a question, or the beginning of the text.',
  isCausal: false,
  sizes: [3],
  layers: (length, size) => [
    { kind: 'bigBird', block: 64, window: 3, global: 2, random: size, seed: 0, blocks: Math.ceil(length / 64) },
  ],
};

const bigBirdClassification: Recommendation = {
  ...bigBird,
  id: 'big-bird-classification',
  claim:
    'Window, global and random blocks together; classification gains most where documents are long and examples few.',
};

const bigBirdGenomics: Recommendation = {
  ...bigBird,
  id: 'big-bird-genomics',
  source: from.bigBirdGenomics,
  claim:
    'Promoter regions and chromatin profiles are predicted from longer stretches of DNA than dense attention allows.',
};

const longT5Local: Recommendation = {
  id: 'longt5-local',
  name: 'a window alone (LongT5, local)',
  source: from.longT5,
  claim: 'Local attention with a radius of 127 tokens to either side in the encoder.',
  why: 'The least work. What is far apart meets only after many layers, so for facts that stand close together.',
  note: 'The paper finds its other form, with transient global tokens, better; those are computed, not a fixed pattern.',
  isCausal: false,
  sizes: [127],
  layers: (_, size) => [window(size)],
};

const modernBert: Recommendation = {
  id: 'modernbert',
  name: 'every third layer dense, windows between (ModernBERT)',
  source: from.modernBert,
  claim:
    'Every third layer attends to everything, the others to a window of 128 tokens; evaluated on retrieval and classification.',
  why: 'Nothing is out of reach, at about a third of the work of dense attention.',
  note: 'A third of the layers still grows as the square of the length.',
  isCausal: false,
  sizes: [64],
  layers: (_, size) => [dense(), window(size), window(size)],
};

const streamingLlm: Recommendation = {
  id: 'streaming-llm',
  name: 'four sinks and a window, causal (StreamingLLM)',
  source: from.streamingLlm,
  claim: 'Keeping the first four tokens beside a rolling window keeps a trained model fluent on texts of any length.',
  why: 'Works with a model that was trained with dense attention, and its memory does not grow with the text.',
  note: 'What has left the window is forgotten, but for what later layers have carried on.',
  isCausal: true,
  sizes: [2048, 1024, 512, 256],
  layers: (_, size) => [intersect(causal(), union(sinks(4), window({ left: size - 1 })))],
};

const mistral: Recommendation = {
  id: 'mistral',
  name: 'a sliding window, causal (Mistral)',
  source: from.mistral,
  claim: 'A window of 4,096 tokens; after k layers information has moved up to k windows on.',
  why: 'The cache of keys and values never holds more than the window.',
  note: 'For models trained with this window. One trained with dense attention needs sinks beside it.',
  isCausal: true,
  sizes: [4096, 2048, 1024, 512],
  layers: (_, size) => [window({ left: size - 1 })],
};

const gemma3: Recommendation = {
  id: 'gemma-3',
  name: 'five window layers for each dense one, causal (Gemma 3)',
  source: from.gemma3,
  claim: 'Five local layers with a span of 1,024 tokens for each global one.',
  why: 'Every sixth layer sees everything before it, so nothing is forgotten; the others stay cheap.',
  note: 'The dense layers grow as the square of the length, and keep all keys and values.',
  isCausal: true,
  sizes: [1024, 512],
  layers: (_, size) => [...Array.from({ length: 5 }, () => window({ left: size - 1 })), causal()],
};

const strided: Recommendation = {
  id: 'sparse-transformer-strided',
  name: 'strided, causal (Sparse Transformer)',
  source: from.sparseTransformer,
  claim: 'Strided attention suits data whose structure aligns with the stride, such as images and some music.',
  why: 'With the stride as the width of a row, a pixel sees the row before it and the column above it.',
  note: 'The stride is the square root of the length here; give the width of your rows, or the period of your series.',
  isCausal: true,
  sizes: [0],
  layers: (length) => [{ kind: 'strided', stride: square(length)[1] }],
};

const axial: Recommendation = {
  id: 'axial',
  name: 'rows and columns in turn (axial attention)',
  source: from.axialAttention,
  claim: 'Attention along one axis of an image or video at a time.',
  why: 'Two layers connect every pixel with every other, at n sqrt(n) pairs for a square image.',
  note: 'The grid is a square here; give that of your image, or frames, rows and columns. A column is scattered over blocks.',
  isCausal: false,
  sizes: [0],
  layers: (length) => [
    { kind: 'axial', grid: square(length), axes: [[1]] },
    { kind: 'axial', grid: square(length), axes: [[0]] },
  ],
};

const neighbourhood: Recommendation = {
  id: 'neighbourhood',
  name: 'the nearest 7 x 7 pixels (neighbourhood attention)',
  source: from.neighbourhoodAttention,
  claim:
    'Each pixel attends to its nearest neighbours, and each layer widens what it has seen without shifted windows.',
  why: 'An image depends on what is near in both directions, and few pairs are enough for that.',
  note: 'The grid is a square here; give that of your image.',
  isCausal: false,
  sizes: [3],
  layers: (length, size) => {
    const grid = square(length);
    // A clamped window must fit the grid.
    const radius = grid.map((cells) => Math.min(size, (cells - 1) >> 1));
    return [{ kind: 'neighbourhood', grid, radius, border: 'clamp' }];
  },
};

const swin: Recommendation = {
  id: 'swin',
  name: 'windows of 7 x 7 pixels, shifted in every other layer (Swin)',
  source: from.swinTransformer,
  claim: 'Windows of 7 x 7 in one layer and shifted by half a window in the next, so that neighbouring windows meet.',
  why: 'The fewest pairs; shifting lets what one window has seen pass on to the next.',
  note: 'The grid is a square here; give that of your image.',
  isCausal: false,
  sizes: [7],
  layers: (length, size) => [
    { kind: 'shiftedWindows', grid: square(length), window: [size, size] },
    { kind: 'shiftedWindows', grid: square(length), window: [size, size], shift: [size >> 1, size >> 1] },
  ],
};

const longCoder: Recommendation = {
  id: 'longcoder',
  name: 'a window, and the first lines visible to all, causal (LongCoder)',
  source: from.longCoder,
  claim:
    'A sliding window, with memory tokens such as package imports and definitions, and bridge tokens, globally accessible.',
  why: 'Imports at the top of a file are needed everywhere in it; the rest of a line depends on what stands near.',
  note: 'The first 128 tokens stand for the imports; the bridge tokens, which a model must be trained with, are left out.',
  isCausal: true,
  sizes: [512, 256],
  layers: (_, size) => [intersect(causal(), union(sinks(128), window({ left: size - 1 })))],
};

const starCoder2: Recommendation = {
  ...mistral,
  id: 'starcoder2',
  name: 'a sliding window, causal (StarCoder2)',
  source: from.starCoder2,
  claim: 'Models of code with a context of 16,384 tokens and a sliding window of 4,096.',
  note: 'For models trained with this window.',
};

const logSparse: Recommendation = {
  id: 'logsparse',
  name: 'near steps, and steps at doubling distances, causal (LogSparse)',
  source: from.logSparse,
  claim:
    'A cell attends to cells at distances 1, 2, 4, 8, ...; with a dense local window beside them, in O(log n) cells each.',
  why: 'A few layers reach the whole past, and the recent past is seen in full.',
  note: 'Fewest pairs of all, but scattered: see what is computed beside what is allowed.',
  isCausal: true,
  sizes: [32],
  layers: (length, size) => {
    const levels = Math.max(1, Math.ceil(Math.log2(Math.max(2, length))));
    const jumps = Array.from({ length: levels }, (_, i) => window({ left: 1, dilation: 2 ** i }));
    return [union(window({ left: size - 1 }), ...jumps)];
  },
};

export interface Task {
  readonly name: string;
  /** Other names that mean it. */
  readonly aliases: readonly string[];
  /** Best first, as far as the sources allow to say. */
  readonly recommendations: readonly Recommendation[];
}

export const tasks: readonly Task[] = [
  {
    name: 'classification',
    aliases: ['classify', 'sentiment', 'topic', 'text classification'],
    recommendations: [longformerFirst, bigBirdClassification, modernBert],
  },
  {
    name: 'question answering',
    aliases: ['qa', 'question', 'questions', 'ask', 'reading comprehension'],
    recommendations: [longformerQuestion, bigBird, longT5Local],
  },
  {
    name: 'summarization',
    aliases: ['summary', 'summarize', 'summarise', 'summarisation'],
    recommendations: [ledEncoder, bigBird, longT5Local],
  },
  {
    name: 'generation',
    aliases: ['generate', 'text generation', 'language model', 'chat', 'completion', 'lm'],
    recommendations: [streamingLlm, mistral, gemma3],
  },
  {
    name: 'embedding',
    aliases: ['embed', 'embeddings', 'retrieval', 'search'],
    recommendations: [modernBert, longformerFirst],
  },
  {
    name: 'images',
    aliases: ['image', 'video', 'videos', 'vision', 'pixels'],
    recommendations: [neighbourhood, swin, axial, strided],
  },
  {
    name: 'code',
    aliases: ['code completion', 'programming', 'source code'],
    recommendations: [longCoder, starCoder2],
  },
  {
    name: 'genomics',
    aliases: ['genome', 'dna', 'rna', 'genetics', 'protein'],
    recommendations: [bigBirdGenomics, longformerFirst],
  },
  {
    name: 'time series',
    aliases: ['timeseries', 'forecasting', 'forecast', 'series', 'sensor'],
    recommendations: [logSparse, strided],
  },
];

/** What everything is compared with. */
export const denseRecommendation: Recommendation = {
  id: 'dense',
  name: 'dense attention',
  source: from.attentionIsAllYouNeed,
  claim: 'Every token attends to every token.',
  why: 'At this length a sparse pattern would save too little to be worth what it leaves out.',
  note: '',
  isCausal: false,
  sizes: [0],
  layers: () => [dense()],
};

export const causalRecommendation: Recommendation = {
  ...denseRecommendation,
  id: 'causal',
  name: 'dense attention, causal',
  claim: 'Every token attends to every token before it.',
  isCausal: true,
  layers: () => [causal()],
};
