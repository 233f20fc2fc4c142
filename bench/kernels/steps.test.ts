import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kernelFolder } from '../../scripts/wasm-kernel.ts';
import { steps, takeBack } from './steps.ts';

describe('the ladder', () => {
  const ideas = steps.flatMap(({ without }) => without);
  it.each(ideas.map((idea) => [String(idea.text).slice(0, 40), idea] as const))('finds %s in the kernel', (_, idea) => {
    const source = readFileSync(join(kernelFolder, idea.file), 'utf8');
    expect(takeBack(source, idea)).not.toBe(source);
  });
});
