import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawHeat, heatedCharacters, heatLevel } from './heat.ts';

describe('heated text', () => {
  it('adds up the bytes of each character', () => {
    expect(heatedCharacters('aé€', [1, 2, 3, 4, 5, 6])).toEqual([
      { text: 'a', bits: 1 },
      { text: 'é', bits: 5 },
      { text: '€', bits: 15 },
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = new TextEncoder().encode(text);
        const characters = heatedCharacters(text, bytes);
        expect(characters.map((each) => each.text).join('')).toBe(text);
        const sum = characters.reduce((all, { bits }) => all + bits, 0);
        expect(sum).toBe(bytes.reduce((all, byte) => all + byte, 0));
      }),
    );
  });

  it('has four levels', () => {
    expect([0, 2, 2.1, 4, 5, 7, 7.5, 90].map(heatLevel)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });

  it('marks below each line where there are no colours', () => {
    const characters = heatedCharacters('one two\nthree', [0, 0, 3, 0, 0, 0, 5, 0, 9, 0, 0, 0, 0]);
    expect(drawHeat(characters, 80, false)).toEqual(['one two', '  .   :', 'three', '#']);
    expect(drawHeat(characters, 4, false)).toEqual(['one ', '  .', 'two', '  :', 'thre', '#', 'e']);
  });

  it('colours runs of a level, and ends every line without colour', () => {
    const characters = heatedCharacters('abc', [0, 9, 9]);
    expect(drawHeat(characters, 80, true)).toEqual(['a\u001b[48;5;160;38;5;231mbc\u001b[0m']);
    expect(drawHeat(heatedCharacters('\u001b[2J', [9, 9, 9, 9]), 80, true)[0]).not.toContain('[2J\u001b[2J');
  });

  it('keeps control characters away from the terminal', () => {
    const [line] = drawHeat(heatedCharacters('a\u001bb\u0007', [0, 0, 0, 0]), 80, false);
    expect(line).toBe('a b ');
  });
});
