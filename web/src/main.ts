import { mount } from 'svelte';
import './app.css';
import { keptTheme, wear } from './lib/state/theme';
import { preferred, speak, t } from './lib/words/words.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');
wear(keptTheme());
// Who opens a link gets a page of his own, and none of the other's scripts.
const page = location.pathname.startsWith('/s/') ? import('./routes/LinkPage.svelte') : import('./App.svelte');
// Without its table the page speaks English.
void speak(preferred())
  .catch(() => undefined)
  .then(() => page)
  .then(({ default: Page }) => mount(Page, { target }))
  .catch((e: unknown) => {
    target.textContent = t('A part of this page could not be loaded. Check the connection, or load the page again.');
    throw e;
  });
