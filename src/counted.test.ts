import { expect, it } from 'vitest';
import { counted, plural } from './counted.ts';

it.each([
  [counted(0, 'token'), '0 tokens'],
  [counted(1, 'token'), '1 token'],
  [counted(2, 'token'), '2 tokens'],
  [counted(1.5, 'hop'), '1.5 hops'],
  [counted(1, 'query', 'queries'), '1 query'],
  [counted(2, 'query', 'queries'), '2 queries'],
  [plural(1, 'token needs', 'tokens need'), 'token needs'],
])('%s', (text, wanted) => expect(text).toBe(wanted));
