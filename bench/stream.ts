/**
 * A million tokens through the KV cache: `npm run bench:stream`. One layer of SmolLM2's shape, causal, a window and a few sinks,
 * in chunks as a model reads them; time per token and the cache's bytes should not depend on how much was read.
 */
import { createDevice, KeyValueCache } from '../src/attention/index.ts';
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import { median } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatCount, formatDuration, formatTable } from '../src/cli/format.ts';
import { causal, formatPattern, intersect, parsePattern } from '../src/pattern/index.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';

interface Options extends OptionValues {
  readonly tokens: number;
  readonly chunk: number;
  readonly pattern: string;
  readonly threads: number;
}

/** H, G and D of SmolLM2-135M. */
const [HEADS, GROUPS, WIDTH] = [9, 3, 64];
/** The stream is reported in this many parts. */
const PARTS = 8;

async function run(options: Options, { signal, progress, result }: CommandContext): Promise<void> {
  const { tokens, chunk, threads } = options;
  const pattern = intersect(causal(), parsePattern(options.pattern));
  await using device = await createDevice({ threads });
  const layer = { pattern, heads: HEADS, keyValueHeads: GROUPS, queryWidth: WIDTH, valueWidth: WIDTH };
  const cache = new KeyValueCache(device, [layer]);
  const array = (heads: number) => device.allocate(chunk * heads * WIDTH).fill(0.5);
  const [q, k, v, output] = [array(HEADS), array(GROUPS), array(GROUPS), array(HEADS)];
  for (const values of [q, k, v]) for (let i = 0; i < values.length; i++) values[i] = Math.sin(i);
  const chunks = Math.floor(tokens / chunk);
  const perPart = Math.floor(chunks / PARTS);
  const parts: { tokens: number; milliseconds: number; cacheBytes: number; peakMemoryBytes: number }[] = [];
  using line = progress({ label: 'streaming', unit: 'tokens', total: PARTS * perPart * chunk });
  for (let part = 0; part < PARTS; part++) {
    const times: number[] = [];
    for (let i = 0; i < perPart; i++) {
      const before = performance.now();
      cache.begin(chunk);
      await cache.attend(0, { q, k, v, output, signal });
      cache.end();
      times.push(performance.now() - before);
      line.update(cache.length);
    }
    const peakMemoryBytes = peakResidentBytes();
    parts.push({ tokens: cache.length, milliseconds: median(times), cacheBytes: cache.bytes, peakMemoryBytes });
  }
  line.clear();
  const rows = parts.map((part) => [
    formatCount(part.tokens),
    formatDuration(part.milliseconds),
    formatBytes(part.cacheBytes),
    formatBytes(part.peakMemoryBytes),
  ]);
  result(
    { pattern, chunk, threads, heads: HEADS, keyValueHeads: GROUPS, width: WIDTH, parts },
    `${formatPattern(pattern)}, ${HEADS} heads on ${GROUPS}, width ${WIDTH}, chunks of ${formatCount(chunk)}, ${threads} threads\n\n` +
      formatTable([['tokens so far', 'median of a chunk', 'keys and values', 'peak memory'], ...rows], [0, 1, 2, 3]),
  );
}

const command = benchmark('bench:stream', 'Streams tokens through one layer of a KV cache.', [
  ['as in the docs', 'npm run bench:stream'],
])
  .option('--tokens <count>', 'tokens in all', integer(PARTS), 1_048_576)
  .option('--chunk <tokens>', 'tokens that are read together', integer(1), 1024)
  .option('--pattern <pattern>', 'cut to the past', 'sinks:4+window:1024')
  .option('--threads <count>', 'threads', integer(1), 2);

await start<Options>(command, run);
