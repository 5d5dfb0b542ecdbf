// Formats numbers for people.
export const duration = (ms) => ms >= 999.5 ? `${(ms / 1000).toFixed(2)} s` : `${ms >= 99.95 ? ms.toFixed(0) : ms >= 9.995 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
export const plural = (n, word, words = `${word}s`) => `${n} ${n === 1 ? word : words}`;
