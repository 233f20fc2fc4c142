import { describe, expect, it } from 'vitest';
import { Progress } from './progress.ts';

function terminal(isTTY: boolean): { isTTY: boolean; columns: number; text: string; write(text: string): void } {
  return {
    isTTY,
    columns: 60,
    text: '',
    write(text) {
      this.text += text;
    },
  };
}

describe('the progress line', () => {
  it('says amount, rate and time left, after the first second', () => {
    const stream = terminal(true);
    let time = 0;
    using line = new Progress(stream, { label: 'reading', total: 1000, unit: 'tokens', now: () => time });
    time = 500;
    line.update(100);
    expect(stream.text).toBe('');
    time = 2000;
    line.update(400);
    expect(stream.text).toBe('\r\u001b[2Kreading  40%  400 of 1,000 tokens  200 tokens/s  3 s left');
  });

  it('follows a change of speed', () => {
    const stream = terminal(true);
    let time = 0;
    using line = new Progress(stream, { label: 'reading', total: 1e6, unit: 'tokens', now: () => time });
    for (time = 1000; time <= 10_000; time += 1000) line.update(time);
    for (; time <= 30_000; time += 1000) line.update(10_000 + (time - 10_000) / 10);
    expect(stream.text.slice(stream.text.lastIndexOf('\r'))).toContain('  100 tokens/s  ');
  });

  it('is not wider than the terminal, and is taken away', () => {
    const stream = terminal(true);
    let time = 0;
    {
      using line = new Progress(stream, { label: 'x'.repeat(100), unit: 'tokens', now: () => time });
      time = 1500;
      line.update(1);
      expect(stream.text).toBe(`\r\u001b[2K${'x'.repeat(59)}`);
    }
    expect(stream.text.endsWith('\r\u001b[2K')).toBe(true);
  });

  it('draws nothing where there is no terminal', () => {
    const stream = terminal(false);
    let time = 0;
    using line = new Progress(stream, { label: 'reading', unit: 'tokens', now: () => time });
    time = 5000;
    line.update(7);
    expect(stream.text).toBe('');
  });
});
