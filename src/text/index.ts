/** Text to token ids and back. What needs Node is in node.ts. */
export { type ChatMessage, type ChatOptions, chatPrompt, readMessages } from './chat.ts';
export { decodeText } from './decode-text.ts';
export {
  type DocumentKind,
  type DocumentOptions,
  type FilePlace,
  type FilePoint,
  readDocument,
  type TextDocument,
  textDocument,
} from './document.ts';
export { tokenizerFromGguf } from './gguf-tokenizer.ts';
export { tokenizerFromJson } from './hugging-face.ts';
export { type TokenSpan, tokenSpans } from './token-spans.ts';
export type {
  DecodeOptions,
  EncodeInPiecesOptions,
  EncodeOptions,
  StreamDecoder,
  Surroundings,
  Tokenizer,
} from './tokenizer.ts';
export { checkVocabulary } from './vocabulary.ts';
