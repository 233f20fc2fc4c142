export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** Where the browser keeps what was chosen; index.html reads it before anything is drawn. */
const KEY = 'farfield-explorer-theme';

/** What index.html has set. */
export function readTheme(): Theme {
  const { theme } = document.documentElement.dataset;
  return THEMES.find((known) => known === theme) ?? 'system';
}

/** Shows a theme, and keeps it for the next visit where the browser keeps anything. */
export function keepTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // A browser that forbids storage shows the theme until the page is closed.
  }
}
