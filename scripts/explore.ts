/**
 * Builds the explorer from its sources and opens it, with the options of `farfield explore`:
 *
 *     node scripts/explore.ts [--pattern PATTERN] [--length TOKENS] [--no-open]
 */
import { runCommandLine } from '../src/cli/program.ts';
import './build-explorer.ts';

process.exitCode = await runCommandLine(['explore', ...process.argv.slice(2)]);
