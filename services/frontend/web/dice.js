// How dice are shown: faces, statistics, distribution.
import { el, svg } from './dom.js';

const PIPS = { 1: [4], 2: [2, 6], 3: [2, 4, 6], 4: [0, 2, 6, 8], 5: [0, 2, 4, 6, 8], 6: [0, 2, 3, 5, 6, 8] };
const SIGNS = { failed: '✕', cancelled: '⊘', skipped: '–', unknown: '?' };
const UNDER_WAY = ['rolling', 'waiting'];

function face({ state, value }) {
  const box = svg('svg', { viewBox: '0 0 56 56', 'aria-hidden': 'true' }, svg('rect', { x: 1.5, y: 1.5, width: 53, height: 53, rx: 11 }));
  const pips = state === 'ok' && PIPS[value];
  if (pips) box.append(...pips.map((p) => svg('circle', { cx: 14 + 14 * (p % 3), cy: 14 + 14 * Math.floor(p / 3), r: 4.6 })));
  else if (UNDER_WAY.includes(state)) box.append(...[16, 28, 40].map((cx) => svg('circle', { cx, cy: 28, r: 3 })));
  else box.append(svg('text', { x: 28, y: 28, 'text-anchor': 'middle', 'dominant-baseline': 'central' }, SIGNS[state] || String(value)));
  return box;
}

/** A slot is {state: ok|rolling|waiting|failed|cancelled|skipped|unknown, value, note}; the note, if any, replaces the state's text. */
export function die({ state, value, note }, index) {
  const hidden = !note && ['ok', ...UNDER_WAY].includes(state);
  return el('li', { className: 'die', data: { state, value: value ?? '', index, ...(note && { note }) } },
    face({ state, value }), el('span', { className: 'unseen', textContent: `Roll ${index}: ${state === 'ok' && note ? `${value}, ` : ''}` }),
    el('span', { className: hidden ? 'unseen' : '', textContent: note ?? (state === 'ok' ? value : state) }));
}

export function statistics(values) {
  const total = values.reduce((a, b) => a + b, 0);
  return { total, mean: total / values.length, min: Math.min(...values), max: Math.max(...values) };
}

export function distribution(values) {
  const counts = new Map(values.every((v) => PIPS[v]) ? [1, 2, 3, 4, 5, 6].map((v) => [v, 0]) : []);
  for (const v of [...values].sort((a, b) => a - b)) counts.set(v, (counts.get(v) ?? 0) + 1);
  const max = Math.max(...counts.values());
  return el('ul', { className: 'distribution', ariaLabel: 'How often each face was rolled' }, ...[...counts].map(([v, count]) => {
    const bar = el('i');
    bar.style.height = `${(count / max) * 40}px`;
    return el('li', { data: { face: v, count } }, el('span', { className: 'count', textContent: count || '' }), bar,
      el('b', { textContent: v }), el('span', { className: 'unseen', textContent: `: ${count} times` }));
  }));
}
