import { mount } from 'svelte';
import App from './App.svelte';
import './style/font.css';
import './style/tokens.css';
import './style/base.css';

const target = document.getElementById('page');
if (target === null) throw new Error('index.html has no element #page');
target.replaceChildren();
mount(App, { target });
