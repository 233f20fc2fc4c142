/** The advisor's fields and how the address holds them. */
import type { Question } from '../../../src/task/advise/index.ts';

export const UNITS = { MB: 1e6, GB: 1e9 } as const;
export type Unit = keyof typeof UNITS;

export interface Form {
  readonly task: string;
  readonly length: number;
  readonly memory: number;
  readonly unit: Unit;
  readonly heads: number;
  readonly width: number;
  readonly layers: number;
}

/** As those of `farfield advise`, but the memory, which a page cannot know. */
export const FIRST_FORM: Form = {
  task: 'question answering',
  length: 60_000,
  memory: 4,
  unit: 'GB',
  heads: 12,
  width: 64,
  layers: 12,
};

export const LIMITS = {
  length: [1, 2 ** 24],
  memory: [1, 9999],
  heads: [1, 64],
  width: [1, 256],
  layers: [1, 128],
} as const;

/** Reads the fields of the address; what is absent or out of range is as in FIRST_FORM. */
export function readForm(field: (name: string) => string | undefined): Form {
  const number = (name: keyof typeof LIMITS): number => {
    const [least, most] = LIMITS[name];
    const text = field(name);
    const value = Number(text);
    return text !== undefined && Number.isInteger(value) && value >= least && value <= most ? value : FIRST_FORM[name];
  };
  return {
    task: field('task') ?? FIRST_FORM.task,
    length: number('length'),
    memory: number('memory'),
    unit: field('unit') === 'MB' ? 'MB' : 'GB',
    heads: number('heads'),
    width: number('width'),
    layers: number('layers'),
  };
}

export function questionOf({ memory, unit, ...rest }: Form): Question {
  return { ...rest, memoryBytes: memory * UNITS[unit] };
}

/** The same question for a terminal. */
export function commandOf({ task, length, memory, unit, heads, width, layers }: Form): string {
  const quoted = task.includes(' ') ? JSON.stringify(task) : task;
  const shape = [
    [heads, FIRST_FORM.heads, 'heads'],
    [width, FIRST_FORM.width, 'dim'],
    [layers, FIRST_FORM.layers, 'layers'],
  ] as const;
  const more = shape.filter(([own, first]) => own !== first).map(([own, , name]) => ` --${name} ${own}`);
  return `farfield advise --task ${quoted} --length ${length} --memory ${memory}${unit}${more.join('')}`;
}
