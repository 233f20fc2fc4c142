/** The guided tour: each step is a state of the page, and says what is to be seen there. */
import { FIRST_STATE, type PageState } from '../state/page-state.ts';

/** Numbers that the page computes beside a step, for the pattern and the length that are on the page then. */
export type Fact = 'pairs' | 'share' | 'doubled' | 'scores' | 'lastReads' | 'kept' | 'reach' | 'connected';

export interface Step {
  readonly title: string;
  /** One line for the list of steps. */
  readonly summary: string;
  /** Paragraphs. */
  readonly text: readonly string[];
  readonly facts: readonly Fact[];
  /** Something to do, and what it shows. */
  readonly attempt: string;
  readonly state: Partial<PageState>;
}

export const TOUR: readonly Step[] = [
  {
    title: 'Everyone reads everyone',
    summary: 'What a query, a key and a pair are, and why there are n × n of them.',
    text: [
      'A transformer turns a text into tokens. In attention every token asks (it is a query) and every token can be read (it is a key). Each row of the matrix is a query, each column a key, and a filled cell is a pair that is computed.',
      'Dense attention computes all of them: n tokens make n × n pairs.',
    ],
    facts: ['pairs', 'share'],
    attempt:
      'Point at a cell, or move there with the arrow keys: below the matrix stands what its row reads and who reads its column.',
    state: { section: 'matrix', patterns: ['dense'], tokens: 64 },
  },
  {
    title: 'Twice the text, four times the work',
    summary: 'Why long texts are slow, and why memory runs out.',
    text: [
      'A row for each token and a column for each token: the square grows in both directions at once. That is why long texts are slow and why their memory runs out.',
      'A library that writes the scores down needs 4 bytes for each pair, in every head of every layer.',
    ],
    facts: ['pairs', 'doubled', 'scores'],
    attempt:
      'Move the slider of the tokens, watch the pairs, and see on the curves when the memory of a device is full.',
    state: { section: 'cost', patterns: ['dense'], tokens: 4096 },
  },
  {
    title: 'Read what is near',
    summary: 'A window: work that grows as the text does.',
    text: [
      'Most of what a word needs stands close to it. A window lets each token read 64 tokens to either side and nothing else: a band along the diagonal.',
      'The band grows in one direction only. Twice the text is now about twice the work.',
    ],
    facts: ['pairs', 'share', 'doubled', 'lastReads'],
    attempt: 'Make the window wider or narrower in the pattern panel.',
    state: { section: 'matrix', patterns: ['window:64'], tokens: 4096 },
  },
  {
    title: 'Layers carry it on',
    summary: 'How far a token reaches after several narrow layers.',
    text: [
      'One layer reads 64 tokens back. But what it read had, one layer before, read 64 tokens back itself. With every layer the reach grows by one window.',
      'So a narrow window is not blind to the rest; the news only takes its time, and passes through many hands.',
    ],
    facts: ['lastReads', 'reach', 'connected'],
    attempt: 'Change the number of layers, or the window, and compare how far the last token reaches.',
    state: { section: 'matrix', patterns: ['causal&window:64'], tokens: 2048, layers: 8 },
  },
  {
    title: 'The past, and four sinks',
    summary: 'How a model goes on writing in memory that does not grow.',
    text: [
      'A model that writes reads only what came before: nothing right of the diagonal. With a window it may forget what it has left behind, and its memory then stays the same however long the text.',
      'Models trained with dense attention put much of their attention on the very first tokens, whatever those say. Without them they fail; with four of them kept, these sinks, they go on (Xiao et al. 2024, section 3.2).',
    ],
    facts: ['lastReads', 'kept', 'doubled'],
    attempt: 'Make the text longer: the number of keys that are kept does not change.',
    state: { section: 'matrix', patterns: ['causal&(sinks:4+window:256)'], tokens: 4096 },
  },
  {
    title: 'A few tokens for everyone',
    summary: 'Global tokens: two layers from anywhere to anywhere.',
    text: [
      'A global token reads the whole text and is read by the whole text: one full row, one full column. What two distant tokens have to say to each other goes through it, in two layers (Beltagy et al. 2020, section 3.1).',
      'Give that place to what matters: the question, a token for the class, the first line.',
    ],
    facts: ['pairs', 'share', 'connected'],
    attempt: 'Take "+global:0" out of the pattern, and see how many layers it takes then.',
    state: { section: 'matrix', patterns: ['window:32+global:0'], tokens: 1024 },
  },
  {
    title: 'Why chance helps',
    summary: 'What two random links for each token do to the distances.',
    text: [
      'Links to random places shorten all ways at once: where neighbours know only neighbours, a few random friends connect everyone in a few steps. That is why BigBird puts random blocks beside its window (Zaheer et al. 2020, section 2).',
      'Here the pattern is a narrow window, drawn as a circle of tokens, with two random edges more for each of them. The table counts how many steps away the others are. The number beside this text is that of the window alone.',
    ],
    facts: ['share', 'connected'],
    attempt: 'Move the random edges to 0, and see the distances grow.',
    state: { section: 'graph', patterns: ['window:16'], tokens: 512, own: { 'graph.random': '2' } },
  },
  {
    title: 'A picture is a grid',
    summary: 'Rows and columns of patches instead of a line of tokens.',
    text: [
      'The tokens of a picture are its patches, row after row. Neighbours on the picture are not neighbours in that order: the patch below stands a whole row further on.',
      'So patterns for pictures speak of rows and columns. Axial attention reads along the row and the column of a patch; two layers connect every patch with every other (Ho et al. 2019).',
    ],
    facts: ['pairs', 'share', 'connected'],
    attempt: 'Choose a patch, then another pattern, and compare which patches are read.',
    state: {
      section: 'content',
      patterns: ['axial(grid=[12,16],axes=[[0],[1]])'],
      tokens: 192,
      own: { 'content.view': 'image' },
    },
  },
  {
    title: 'What it costs on a text',
    summary: 'A small model in the page: what a pattern cuts off, and what that does to its predictions.',
    text: [
      'A pattern is good when what it leaves out is not missed. Here a small model predicts a text byte by byte, once with the pattern of the page in every layer and once with dense attention.',
      'The page shows what share of dense attention falls outside the pattern in each layer and head, and how many bits the prediction of each byte costs both ways. The model was trained with a pattern of its own, so dense attention is not what it knows best.',
    ],
    facts: ['lastReads'],
    attempt: 'Run the model, then narrow the window and run it again.',
    state: {
      section: 'content',
      patterns: ['causal&(sinks:4+window:64)'],
      tokens: 1024,
      own: { 'content.view': 'text' },
    },
  },
  {
    title: 'Choose one',
    summary: 'The advisor: a task, a length and a memory in, a pattern out.',
    text: [
      'There is no best pattern; there is one that fits what the model is for, how long its texts are and how much memory there is.',
      'The advisor names a pattern from the papers for each task, says why, and computes what it costs beside dense attention.',
    ],
    facts: [],
    attempt: 'Give your own task, length and memory.',
    state: { section: 'learn', own: { 'learn.view': 'advisor' } },
  },
];

/** The state of step `index` (from 0), which names itself in the address. */
export function stateOfStep(index: number): PageState {
  const step = TOUR[index];
  return { ...FIRST_STATE, ...step.state, own: { ...step.state.own, 'learn.step': String(index + 1) } };
}

/** The step (from 0) that the address names; undefined where it names none. */
export function readStep(text: string | undefined): number | undefined {
  const number = Number(text);
  return text !== undefined && Number.isInteger(number) && number >= 1 && number <= TOUR.length
    ? number - 1
    : undefined;
}
