/** Light, dark, or as the system has it. */
export type Theme = 'system' | 'light' | 'dark';

const key = 'discord-cloud-theme';

export function keptTheme(): Theme {
  const kept = localStorage.getItem(key);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

/** Shows the page in a theme; app.css has what it means. */
export function wear(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
}

export function chooseTheme(theme: Theme): void {
  wear(theme);
  if (theme === 'system') localStorage.removeItem(key);
  else localStorage.setItem(key, theme);
}
