/** The families of patterns: what each is for, what it costs, and where it comes from. */
import {
  axialAttention,
  bigBird,
  gemma3,
  logSparse,
  longformer,
  longT5,
  mistral,
  modernBert,
  neighbourhoodAttention,
  type Source,
  sparseTransformer,
  streamingLlm,
  swinTransformer,
} from '../../../src/task/advise/sources.ts';
import type { PageState } from '../state/page-state.ts';

export interface Family {
  readonly name: string;
  readonly what: string;
  readonly use: string;
  readonly beware: string;
  /** How the pairs grow with n tokens. */
  readonly growth: string;
  readonly sources: readonly Source[];
  /** An example as small as a thumbnail, drawn with `tokens` of `example`. */
  readonly example: { readonly pattern: string; readonly tokens: number; readonly heads?: number };
  /** What "open" leads to. */
  readonly state: Partial<PageState>;
}

const etc: Source = {
  title: 'ETC: Encoding Long and Structured Inputs in Transformers',
  authors: 'Ainslie et al.',
  year: 2020,
  where: 'global-local attention',
  url: 'https://arxiv.org/abs/2004.08483',
};

const blockBert: Source = {
  title: 'Blockwise Self-Attention for Long Document Understanding',
  authors: 'Qiu et al.',
  year: 2020,
  where: 'section 3',
  url: 'https://arxiv.org/abs/1911.02972',
};

export const FAMILIES: readonly Family[] = [
  {
    name: 'Windows',
    what: 'Each token reads its neighbours; with dilation every second, third, ... of them, which reaches further with as many pairs.',
    use: 'Nearly always a part of the answer: what is near matters most in text, code and series.',
    beware: 'What is far apart meets only after many layers. A dilated window alone misses the tokens between.',
    growth: 'n × window',
    sources: [longformer, longT5, mistral],
    example: { pattern: 'window:5', tokens: 48 },
    state: { patterns: ['window:128'], tokens: 4096 },
  },
  {
    name: 'Sinks and a window, causal',
    what: 'The past within a window, and the first few tokens for ever.',
    use: 'Writing with a model that was trained with dense attention, on texts longer than memory allows.',
    beware: 'What has left the window is forgotten, but for what later layers have carried on.',
    growth: 'n × (sinks + window)',
    sources: [streamingLlm],
    example: { pattern: 'causal&(sinks:3+window:8)', tokens: 48 },
    state: { patterns: ['causal&(sinks:4+window:256)'], tokens: 4096 },
  },
  {
    name: 'Global tokens',
    what: 'Some tokens read everything and are read by everything; the others have a window.',
    use: 'Tasks with a place that must see all of the text: a question, a class, the first line.',
    beware: 'Rows of global tokens are as long as the text. A model must have been trained with them.',
    growth: 'n × (window + 2 × globals)',
    sources: [longformer, etc],
    example: { pattern: 'window:4+global:0,24', tokens: 48 },
    state: { patterns: ['window:64+global:0'], tokens: 2048 },
  },
  {
    name: 'Random links',
    what: 'A window and global blocks, and for each block some others drawn by chance, the same in every run.',
    use: 'Long documents where it is not known before what has to meet what. Whole blocks suit the kernels.',
    beware: 'The links are fixed before the text is seen; whether the one that is needed is there is chance too.',
    growth: 'n × (window + globals + random)',
    sources: [bigBird],
    example: { pattern: 'bigBird(block=4,window=3,global=1,random=1,seed=2,blocks=12)', tokens: 48 },
    state: { patterns: ['bigBird(block=64,window=3,global=1,random=2,seed=0,blocks=32)'], tokens: 2048 },
  },
  {
    name: 'Strides',
    what: 'The last row in full and then every stride-th token back; or, "fixed", a few columns that sum up each stretch.',
    use: 'Data with a period that is known: rows of an image, bars of music, days of a series.',
    beware: 'With a stride that is not that of the data it reads the wrong tokens. Single columns are slow by blocks.',
    growth: 'n × √n with a stride of √n',
    sources: [sparseTransformer],
    example: { pattern: 'strided(stride=7)', tokens: 48 },
    state: { patterns: ['strided(stride=64)'], tokens: 4096 },
  },
  {
    name: 'Doubling distances',
    what: 'The near past in full, then tokens at distances 1, 2, 4, 8, ... back.',
    use: 'Long series, where few layers must reach the whole past.',
    beware: 'Fewest pairs of all, but scattered, and a kernel that works by blocks computes many more.',
    growth: 'n × log n',
    sources: [logSparse],
    example: {
      pattern: 'window:3,0+window:1,0/4+window:1,0/8+window:1,0/16+window:1,0/32',
      tokens: 48,
    },
    state: {
      patterns: [
        'window:31,0+window:1,0/32+window:1,0/64+window:1,0/128+window:1,0/256+window:1,0/512+window:1,0/1024+window:1,0/2048',
      ],
      tokens: 4096,
    },
  },
  {
    name: 'Blocks',
    what: 'The text is cut into blocks; each reads one block, its own or another, and heads differ in which.',
    use: 'When the simplest and fastest layout is wanted, and heads together reach all blocks.',
    beware:
      'Two tokens beside each other on either side of a border do not meet in a head that reads only its own block.',
    growth: 'n × block',
    sources: [blockBert],
    example: { pattern: 'blockPermutation(block=12,permutation=[1,2,3,0])', tokens: 48 },
    state: { patterns: ['blockPermutation(block=256,permutation=[1,2,3,0])'], tokens: 1024 },
  },
  {
    name: 'Rows and columns of a grid',
    what: 'Axial attention: a cell of a picture, a video or a volume reads along one axis at a time.',
    use: 'Pictures and video where distant cells of a row or column belong together.',
    beware: 'A column is scattered in the order of tokens; a diagonal neighbour is two layers away.',
    growth: 'n × (rows + columns)',
    sources: [axialAttention],
    example: { pattern: 'axial(grid=[6,8],axes=[[0],[1]])', tokens: 48 },
    state: {
      section: 'content',
      patterns: ['axial(grid=[12,16],axes=[[0],[1]])'],
      tokens: 192,
      own: { 'content.view': 'image' },
    },
  },
  {
    name: 'Neighbourhoods of a grid',
    what: 'A cell reads the cells around it; or, Swin, the window it stands in, and windows shift from layer to layer.',
    use: 'Pictures: what is near in both directions matters most.',
    beware: 'The far side of the picture is many layers away. Without the shift, windows never meet.',
    growth: 'n × window',
    sources: [neighbourhoodAttention, swinTransformer],
    example: { pattern: 'neighbourhood(grid=[6,8],radius=[1,1])', tokens: 48 },
    state: {
      section: 'content',
      patterns: ['neighbourhood(grid=[12,16],radius=[2,2],border=clamp)'],
      tokens: 192,
      own: { 'content.view': 'image' },
    },
  },
  {
    name: 'Layers and heads that differ',
    what: 'Some layers or some heads see everything, the others have windows.',
    use: 'Models that must not forget anything, and can pay for a few dense layers.',
    beware: 'The dense ones still grow as the square of the text, and keep all keys and values.',
    growth: 'a share of n²',
    sources: [modernBert, gemma3],
    example: { pattern: 'causal&(window:6|dense)', tokens: 48, heads: 2 },
    state: { patterns: ['causal&(window:128|window:128|window:128|dense)'], tokens: 2048, heads: 4 },
  },
];
