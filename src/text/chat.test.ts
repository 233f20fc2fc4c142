import { describe, expect, it } from 'vitest';
import { TextError } from '../errors.ts';
import { chatPrompt, readMessages } from './chat.ts';
import { tokenizerFromJson } from './hugging-face.ts';

/** As published with Zephyr, TinyLlama and others. */
const ZEPHYR =
  "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n" +
  "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n" +
  "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n" +
  "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}";
/** As published with Mistral: turns must alternate. */
const MISTRAL =
  "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
  "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}" +
  "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}" +
  "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% endif %}{% endfor %}";

function tokenizer(template: unknown) {
  const vocab = { '<s>': 0, '</s>': 1, a: 2 };
  const added = ['<s>', '</s>'].map((content, id) => ({ id, content, special: true }));
  return tokenizerFromJson(
    {
      normalizer: null,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      model: { type: 'WordLevel', vocab, unk_token: 'a' },
      post_processor: null,
      decoder: null,
      added_tokens: added,
    },
    { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template: template },
  );
}

const talk = [
  { role: 'user', content: 'Who?' },
  { role: 'assistant', content: 'Ishmael.' },
  { role: 'user', content: 'Why?' },
];

describe('chatPrompt', () => {
  it('fills published templates in as transformers documents it', async () => {
    expect(await chatPrompt(tokenizer(MISTRAL), talk)).toBe('<s>[INST] Who? [/INST]Ishmael.</s>[INST] Why? [/INST]');
    const system = [{ role: 'system', content: 'Be brief.' }, ...talk];
    const whole = '<|system|>\nBe brief.</s>\n<|user|>\nWho?</s>\n<|assistant|>\nIshmael.</s>\n<|user|>\nWhy?</s>\n';
    expect(await chatPrompt(tokenizer(ZEPHYR), system)).toBe(`${whole}<|assistant|>\n`);
    expect(await chatPrompt(tokenizer(ZEPHYR), system, { addGenerationPrompt: false })).toBe(whole);
    const named = [
      { name: 'tool_use', template: 'no' },
      { name: 'default', template: MISTRAL },
    ];
    expect(await chatPrompt(tokenizer(named), talk.slice(0, 1))).toBe('<s>[INST] Who? [/INST]');
  });

  it('says what is wrong', async () => {
    const refused = (template: unknown, messages: unknown) =>
      expect(chatPrompt(tokenizer(template), messages as typeof talk)).rejects;
    await refused(MISTRAL, talk.slice(1)).toThrow('roles must alternate');
    await refused(MISTRAL, talk.slice(1)).toThrow(TextError);
    await refused(undefined, talk).toThrow('the model has no chat template');
    await refused(MISTRAL, []).toThrow('there are no messages');
    await refused(MISTRAL, [{ role: 'user' }]).toThrow('messages[0] must be { role, content }');
    await refused('{% for x in %}', talk).toThrow("the model's chat template:");
  });
});

it('readMessages reads what people write, and says where it is wrong', () => {
  expect(readMessages(JSON.stringify(talk), 'talk.json')).toEqual(talk);
  expect(() => readMessages('{', 'talk.json')).toThrow('talk.json: is not JSON');
  expect(() => readMessages('{}', 'talk.json')).toThrow('talk.json: messages are a list of');
  expect(() => readMessages('[{"role": 1}]', 'talk.json')).toThrow('talk.json: entry 0 is {"role":1}');
});
