import { addCommand, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatTable, wrap } from '../format.ts';
import { type Choice, chooseFor, type Machine } from '../machine/choices.ts';
import { tryAttention, tryOnnxRuntime } from '../machine/engines.ts';
import { readMemory, readProcessor } from '../machine/processor.ts';
import { readWebAssemblyFeatures } from '../machine/webassembly.ts';

export const registerDoctor: Register = (program, start) => {
  addCommand(program, 'doctor', {
    summary: 'say what this machine offers, and what Farfield will use',
    description: 'Says what this machine offers, what Farfield will use of it, and why.',
    examples: [
      { does: 'in words', command: 'farfield doctor' },
      { does: 'for a bug report or a script', command: 'farfield doctor --json' },
    ],
  }).action(start(doctor));
};

async function doctor(_options: object, context: CommandContext): Promise<void> {
  const machine: Machine = {
    processor: readProcessor(),
    memory: readMemory(),
    webassembly: readWebAssemblyFeatures(),
    float16Array: 'Float16Array' in globalThis,
    attention: await tryAttention(),
    onnxruntime: await tryOnnxRuntime(),
  };
  const choices = chooseFor(machine);
  const { node, v8 } = process.versions;
  context.result({ node, v8, platform: process.platform, ...machine, choices }, describe(machine, choices, context));
}

function describe(machine: Machine, choices: readonly Choice[], context: CommandContext): string {
  const { processor, memory, webassembly, onnxruntime } = machine;
  const facts = [
    ['processor', `${processor.model}, ${processor.architecture}`],
    ['vectors', processor.vectors?.join(', ') ?? 'this system does not tell'],
    ['cores', `${processor.usable} usable of ${processor.processors}`],
    ['memory', `${formatBytes(memory.availableBytes)} free of ${formatBytes(memory.totalBytes)}`],
    ['memory limit', memory.limitBytes === null ? 'none' : `${formatBytes(memory.limitBytes)} (container)`],
    ['Node', `${process.versions.node} with V8 ${process.versions.v8}, ${process.platform}`],
    ['SIMD', yesNo(webassembly.simd)],
    ['relaxed SIMD', yesNo(webassembly.relaxedSimd)],
    ['256-bit merge', webassembly.mergeFlag === null ? 'no' : `yes, --${webassembly.mergeFlag}`],
    ['threads', yesNo(webassembly.threads)],
    ['Float16Array', yesNo(machine.float16Array)],
    ['onnxruntime', 'failure' in onnxruntime ? `does not load: ${onnxruntime.failure}` : onnxruntime.version],
    ['shared tensors', yesNo('failure' in onnxruntime ? false : onnxruntime.sharedMemoryTensors)],
  ];
  const left = Math.max(...choices.map(({ what }) => what.length)) + 4;
  const uses = choices.map(({ what, uses, because }) => {
    const text = wrap(`${uses}: ${because}`, Math.min(context.columns, 100) - left, ' '.repeat(left));
    return `  ${what.padEnd(left - 2)}${text}`;
  });
  return `${section('This machine', formatTable(facts))}\n\nFarfield uses\n${uses.join('\n')}`;
}

function section(title: string, table: string): string {
  return `${title}\n${table.replaceAll(/^/gm, '  ')}`;
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
