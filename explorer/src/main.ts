import { mount } from 'svelte';
import App from './App.svelte';
import { Engine } from './engine/engine.ts';
import { sectionOf } from './sections.ts';
import { Page } from './state/page.svelte.ts';
import './style/font.css';
import './style/tokens.css';
import './style/base.css';
import './style/figures.css';

const target = document.getElementById('page');
if (target === null) throw new Error('index.html has no element #page');
// The worker and the section's code come while the page is put together.
const engine = new Engine();
engine.start();
const page = new Page();
page.readAddress();
sectionOf(page).load();
target.replaceChildren();
mount(App, { target, props: { page, engine } });
