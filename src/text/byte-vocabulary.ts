/**
 * The byte vocabulary: 0 to 255 are the bytes, whatever they are; 256 ends a document, and so also begins one; 257 replaces a masked
 * byte; 258 is the token whose output classifies a sequence, [CLS] of BERT.
 */
export const byteVocabulary = { documentEnd: 256, mask: 257, classification: 258, size: 259 } as const;
