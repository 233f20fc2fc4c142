import type { Component } from 'svelte';
import type { Editor } from './composer/editor.svelte.ts';
import type { Engine } from './engine/engine.ts';
import type { Page } from './state/page.svelte.ts';

/** What every section is given. */
export interface SectionProperties {
  readonly page: Page;
  readonly engine: Engine;
  readonly editor: Editor;
}

export interface Section {
  /** Its name in the address and the prefix of its own fields there. */
  readonly id: string;
  readonly title: string;
  /** Fetched when the section is opened, so that the page starts without it. */
  readonly load: () => Promise<{ readonly default: Component<SectionProperties> }>;
}

/** In the order of their tabs. A new section is a folder beside this file and a line here. */
export const SECTIONS: readonly Section[] = [
  { id: 'matrix', title: 'Matrix', load: () => import('./matrix/Matrix.svelte') },
  { id: 'gallery', title: 'Gallery', load: () => import('./gallery/Gallery.svelte') },
  { id: 'cost', title: 'Cost', load: () => import('./cost/Cost.svelte') },
  { id: 'graph', title: 'Graph', load: () => import('./graph/Graph.svelte') },
  { id: 'content', title: 'Content', load: () => import('./content/Content.svelte') },
  { id: 'learn', title: 'Learn', load: () => import('./learn/Learn.svelte') },
];

/** The section that is open; the first one where the address names none that there is. */
export function sectionOf(page: Page): Section {
  return SECTIONS.find(({ id }) => id === page.section) ?? SECTIONS[0];
}
