let probe: HTMLElement | undefined;

/** What a colour of tokens.css is now, as "rgb(r, g, b)": for canvases, which cannot read var(). */
export function colour(name: `--${string}`): string {
  if (probe === undefined) {
    probe = document.createElement('span');
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** Red, green and blue, 0 to 255. */
export function channels(name: `--${string}`): readonly number[] {
  return (colour(name).match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
}

/** Calls back whenever colours change: another theme chosen here, or by the system. Returns how to stop. */
export function onThemeChange(changed: () => void): () => void {
  const restyled = new MutationObserver(changed);
  restyled.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', changed);
  return () => {
    restyled.disconnect();
    scheme.removeEventListener('change', changed);
  };
}
