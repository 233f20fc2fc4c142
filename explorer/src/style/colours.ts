let probe: HTMLElement | undefined;
/** What was read since the last change of theme: asking the browser costs more than drawing. */
const known = new Map<string, string>();

/** What a colour of tokens.css is now, as "rgb(r, g, b)": for canvases, which cannot read var(). */
export function colour(name: `--${string}`): string {
  const before = known.get(name);
  if (before !== undefined) return before;
  if (probe === undefined) {
    probe = document.createElement('span');
    probe.hidden = true;
    document.body.append(probe);
    watch();
  }
  probe.style.color = `var(${name})`;
  const now = getComputedStyle(probe).color;
  known.set(name, now);
  return now;
}

/** Red, green and blue, 0 to 255. */
export function channels(name: `--${string}`): readonly number[] {
  return (colour(name).match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
}

const listeners = new Set<() => void>();
let isWatching = false;

function watch(): void {
  if (isWatching) return;
  isWatching = true;
  const changed = (): void => {
    known.clear();
    for (const listener of listeners) listener();
  };
  new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ['data-theme'] });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
}

/** Calls back whenever colours change: another theme chosen here, or by the system. Returns how to stop. */
export function onThemeChange(changed: () => void): () => void {
  watch();
  listeners.add(changed);
  return () => listeners.delete(changed);
}
