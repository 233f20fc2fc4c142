/** Where a recommendation comes from. */
export interface Source {
  readonly title: string;
  readonly authors: string;
  readonly year: number;
  /** Section or table, by its number where that could be looked up. */
  readonly where: string;
  readonly url: string;
}

export const longformer: Source = {
  title: 'Longformer: The Long-Document Transformer',
  authors: 'Beltagy, Peters, Cohan',
  year: 2020,
  where: 'sections 3.1 and 5',
  url: 'https://arxiv.org/abs/2004.05150',
};

export const led: Source = { ...longformer, where: 'section 7' };

export const bigBird: Source = {
  title: 'Big Bird: Transformers for Longer Sequences',
  authors: 'Zaheer et al.',
  year: 2020,
  where: 'section 2, and the experiments on language',
  url: 'https://arxiv.org/abs/2007.14062',
};

export const bigBirdGenomics: Source = { ...bigBird, where: 'the experiments on genomics' };

export const longT5: Source = {
  title: 'LongT5: Efficient Text-To-Text Transformer for Long Sequences',
  authors: 'Guo et al.',
  year: 2022,
  where: 'local attention of the encoder',
  url: 'https://arxiv.org/abs/2112.07916',
};

export const modernBert: Source = {
  title:
    'Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, Memory Efficient, and Long Context Finetuning and Inference',
  authors: 'Warner et al.',
  year: 2024,
  where: 'section 2.1.2, Alternating Attention',
  url: 'https://arxiv.org/abs/2412.13663',
};

export const streamingLlm: Source = {
  title: 'Efficient Streaming Language Models with Attention Sinks',
  authors: 'Xiao et al.',
  year: 2024,
  where: 'section 3.2, table 2',
  url: 'https://arxiv.org/abs/2309.17453',
};

export const mistral: Source = {
  title: 'Mistral 7B',
  authors: 'Jiang et al.',
  year: 2023,
  where: 'Sliding Window Attention',
  url: 'https://arxiv.org/abs/2310.06825',
};

export const gemma3: Source = {
  title: 'Gemma 3 Technical Report',
  authors: 'Gemma Team',
  year: 2025,
  where: 'section 2',
  url: 'https://arxiv.org/abs/2503.19786',
};

export const sparseTransformer: Source = {
  title: 'Generating Long Sequences with Sparse Transformers',
  authors: 'Child, Gray, Radford, Sutskever',
  year: 2019,
  where: 'section 4.3',
  url: 'https://arxiv.org/abs/1904.10509',
};

export const axialAttention: Source = {
  title: 'Axial Attention in Multidimensional Transformers',
  authors: 'Ho, Kalchbrenner, Weissenborn, Salimans',
  year: 2019,
  where: 'the abstract',
  url: 'https://arxiv.org/abs/1912.12180',
};

export const neighbourhoodAttention: Source = {
  title: 'Neighborhood Attention Transformer',
  authors: 'Hassani, Walton, Li, Li, Shi',
  year: 2023,
  where: 'the abstract',
  url: 'https://arxiv.org/abs/2204.07143',
};

export const swinTransformer: Source = {
  title: 'Swin Transformer: Hierarchical Vision Transformer using Shifted Windows',
  authors: 'Liu et al.',
  year: 2021,
  where: 'section 3.2',
  url: 'https://arxiv.org/abs/2103.14030',
};

export const longCoder: Source = {
  title: 'LongCoder: A Long-Range Pre-trained Language Model for Code Completion',
  authors: 'Guo, Xu, Duan, Yin, McAuley',
  year: 2023,
  where: 'the abstract',
  url: 'https://arxiv.org/abs/2306.14893',
};

export const starCoder2: Source = {
  title: 'StarCoder 2 and The Stack v2: The Next Generation',
  authors: 'Lozhkov et al.',
  year: 2024,
  where: 'the models, as published',
  url: 'https://arxiv.org/abs/2402.19173',
};

export const logSparse: Source = {
  title: 'Enhancing the Locality and Breaking the Memory Bottleneck of Transformer on Time Series Forecasting',
  authors: 'Li et al.',
  year: 2019,
  where: 'LogSparse Transformer',
  url: 'https://arxiv.org/abs/1907.00235',
};

export const attentionIsAllYouNeed: Source = {
  title: 'Attention Is All You Need',
  authors: 'Vaswani et al.',
  year: 2017,
  where: 'section 3.2.1',
  url: 'https://arxiv.org/abs/1706.03762',
};
