/** A vocabulary of bytes as Hugging Face's tokenizer files, so that everything that reads those reads byte-level models too. */
import { byteCharacters } from './byte-level.ts';
import { byteVocabulary } from './byte-vocabulary.ts';

/** Content of the tokens after the bytes. */
const [END, MASK, CLASS] = ['<|end|>', '<|mask|>', '<|class|>'] as const;
const SPECIAL = [
  { id: byteVocabulary.documentEnd, content: END },
  { id: byteVocabulary.mask, content: MASK },
  { id: byteVocabulary.classification, content: CLASS },
];

/**
 * tokenizer.json and tokenizer_config.json of byteVocabulary: the bytes of a text's UTF-8 are its ids, and the end of a document stands
 * before its first byte too.
 */
export function byteTokenizerFiles(): Readonly<Record<'tokenizer.json' | 'tokenizer_config.json', object>> {
  const first = { SpecialToken: { id: END, type_id: 0 } };
  const sequence = { Sequence: { id: 'A', type_id: 0 } };
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: SPECIAL.map(({ id, content }) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: {
        type: 'TemplateProcessing',
        single: [first, sequence],
        pair: [first, sequence, first, { Sequence: { id: 'B', type_id: 0 } }],
        special_tokens: { [END]: { id: END, ids: [byteVocabulary.documentEnd], tokens: [END] } },
      },
      decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(byteCharacters().map((character, byte) => [character, byte])),
        merges: [],
      },
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: END,
      eos_token: END,
      mask_token: MASK,
      cls_token: CLASS,
      clean_up_tokenization_spaces: false,
    },
  };
}
