import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { keptTheme, wear } from './lib/state/theme';
import { preferred, speak } from './lib/words/words.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');
wear(keptTheme());
// Without its table the page speaks English.
void speak(preferred())
  .catch(() => undefined)
  .then(() => mount(App, { target }));
