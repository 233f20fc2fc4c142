import { PatternError } from '../errors.ts';
import type { Field } from './kinds/definition.ts';
import { checkInteger, checkList, show } from './values.ts';

/** Checks the parameters of a pattern one by one; a part that is itself a pattern is left to checkPattern. Throws PatternError. */
export function checkFields(
  pattern: object,
  fields: Readonly<Record<string, Field>>,
  name: (field: string) => string,
): void {
  const values = pattern as Readonly<Record<string, unknown>>;
  for (const [field, type] of Object.entries(fields)) checkValue(name(field), values[field], type);
}

function checkValue(name: string, value: unknown, field: Field): void {
  if (value === undefined && field.optional) return;
  switch (field.type) {
    case 'integer':
      checkInteger(name, value, field.least);
      return;
    case 'word':
      if (!(field.words as readonly unknown[]).includes(value)) {
        throw new PatternError(`${name} is ${show(value)}; it must be one of ${field.words.join(', ')}`);
      }
      return;
    case 'flag':
      if (value !== true) throw new PatternError(`${name} is ${show(value)}; it must be true or absent`);
      return;
    case 'list': {
      checkList(name, value, field.least);
      const { item } = field;
      for (const [i, inner] of (value as readonly unknown[]).entries()) {
        // The path of an item is made only for one that is wrong: lists may be long.
        const isFine =
          item.type === 'integer' && typeof inner === 'number' && Number.isSafeInteger(inner) && inner >= item.least;
        if (!isFine) checkValue(`${name}[${i}]`, inner, item);
      }
      return;
    }
    case 'pattern':
      return;
  }
}
