import { mount } from 'svelte';
import Explorer from './Explorer.svelte';
import './explorer.css';

const target = document.getElementById('page');
if (target === null) throw new Error('index.html has no element #page');
mount(Explorer, { target });
