// Formats and rounds numbers for people.
export const duration = (ms) => ms >= 999.5 ? `${(ms / 1000).toFixed(2)} s` : `${ms >= 99.95 ? ms.toFixed(0) : ms >= 9.995 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
export const plural = (n, word, words = `${word}s`) => `${n} ${n === 1 ? word : words}`;

/** The smallest of 1, 2, 5, 10, 20, … that is not less than n; or of other steps from 1 to 10. */
export function roundUp(n, steps = [1, 2, 5, 10]) {
  const power = 10 ** Math.floor(Math.log10(n || 1));
  return steps.find((step) => step * power >= n * (1 - 1e-9)) * power;
}
