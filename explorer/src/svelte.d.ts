/// <reference types="svelte" />
/// <reference types="vite/client" />
declare module '*.svelte' {
  import type { Component } from 'svelte';

  // biome-ignore lint/suspicious/noExplicitAny: TypeScript alone cannot know a component's properties.
  const component: Component<any>;
  export default component;
}

declare module '*.css';
