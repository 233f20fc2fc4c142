/** Overlapping windows over a text that is longer than a model's positions. */
import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';

export interface TokenWindow {
  readonly start: number;
  /** Behind the last token. */
  readonly end: number;
}

/** Windows of at most `room` tokens, each but the first beginning `overlap` tokens before the end of the one before; one where all fit. */
export function tokenWindows(tokens: number, room: number, overlap: number): TokenWindow[] {
  if (tokens <= room) return [{ start: 0, end: tokens }];
  if (!(Number.isInteger(overlap) && overlap >= 0 && overlap < room)) {
    throw new ArgumentError(
      `overlap is ${overlap}; windows have room for ${counted(room, 'token')} of the text, and must go on`,
    );
  }
  const windows: TokenWindow[] = [];
  for (let start = 0; ; start += room - overlap) {
    const end = Math.min(tokens, start + room);
    windows.push({ start, end });
    if (end === tokens) return windows;
  }
}
