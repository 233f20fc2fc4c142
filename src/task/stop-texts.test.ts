import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopTexts } from './stop-texts.ts';

/** What comes out of a text that goes in by pieces. */
function run(stops: string[], pieces: string[]): string {
  const stop = new StopTexts(stops);
  let out = '';
  for (const piece of pieces) {
    const { text, stopped } = stop.push(piece);
    out += text;
    if (stopped) return out;
  }
  return out + stop.flush();
}

describe('StopTexts', () => {
  it('gives out at once what cannot begin a stop', () => {
    const stop = new StopTexts(['END']);
    expect(stop.push('abcE')).toEqual({ text: 'abc', stopped: false });
    expect(stop.push('x')).toEqual({ text: 'Ex', stopped: false });
    expect(stop.push('E')).toEqual({ text: '', stopped: false });
    expect(stop.push('ND!')).toEqual({ text: '', stopped: true });
  });

  it('cuts before the first stop, however the text is cut into pieces', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 12 }), fc.array(letters, { maxLength: 3 }), (pieces, stops) => {
        const text = pieces.join('');
        const places = stops.filter((stop) => stop !== '').map((stop) => text.indexOf(stop));
        const found = places.filter((place) => place >= 0);
        const want = found.length === 0 ? text : text.slice(0, Math.min(...found));
        // A stop that is complete ends the text even if an earlier, longer one might still have come.
        const got = run(stops, pieces);
        expect(text.startsWith(got)).toBe(true);
        expect(got.length).toBeGreaterThanOrEqual(want.length);
        for (const stop of stops) if (stop !== '') expect(got).not.toContain(stop);
        if (found.length === 0) expect(got).toBe(text);
        if (stops.length === 1) expect(got).toBe(want);
      }),
    );
  });
});
