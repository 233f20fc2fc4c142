// In CI a change is judged by the same cases at every run; elsewhere each run draws its own, and fast-check prints the seed of a failure.
if (process.env.CI !== undefined) {
  const { configureGlobal } = await import('fast-check');
  configureGlobal({ seed: 20_261_128 });
}

export {};
