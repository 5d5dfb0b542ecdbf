// Draws the speed-up of batches over their concurrency, beside Amdahl's law and the limit that the slowest roll sets.
import { el, svg } from './dom.js';
import { duration, roundUp } from './text.js';
import { speedup } from './verdict.js';

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [460, 220, 34, 24, 12, 96];

function draw({ points, amdahl, limit }) {
  const most = points.at(-1).concurrency;
  const highest = Math.max(2, limit, points.at(-1).amdahl, ...points.map((point) => point.speedup)) * 1.05;
  const x = (k) => LEFT + (WIDTH - LEFT - RIGHT) * (most > 1 ? Math.log2(k) / Math.log2(most) : 0);
  const y = (s) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (s / highest);
  const text = (at, up, words, anchor, name) => svg('text', { x: at, y: up, 'text-anchor': anchor, 'dominant-baseline': 'central', class: name ?? '' }, words);
  const step = roundUp(highest / 5);
  const lines = Array.from({ length: Math.floor(highest / step) + 1 }, (_, i) => +(i * step).toFixed(2));
  const smooth = Array.from({ length: 41 }, (_, i) => most ** (i / 40));
  const right = WIDTH - RIGHT + 8;
  const end = points.at(-1);
  // Labels on the right keep a line's distance, from the lowest up.
  const labels = [['measured', y(end.speedup), 'measured'], ['slowest roll', y(limit), 'limit'], ['Amdahl’s law', y(end.amdahl), 'amdahl']].sort((a, b) => b[1] - a[1]);
  labels.forEach((label, i) => { if (i) label[1] = Math.min(label[1], labels[i - 1][1] - 14); });
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'Speed-up over concurrency; the table beside it has the same figures' },
    ...lines.flatMap((s) => [svg('path', { class: 'grid', d: `M${LEFT} ${y(s)}H${WIDTH - RIGHT}` }), text(LEFT - 6, y(s), `${s}×`, 'end')]),
    ...points.map(({ concurrency: k }) => text(x(k), HEIGHT - BOTTOM + 13, String(k), 'middle')), text(right + 8, HEIGHT - BOTTOM + 13, 'at a time', 'start'),
    svg('path', { class: 'amdahl', d: smooth.map((k, i) => `${i ? 'L' : 'M'}${x(k)} ${y(amdahl(k))}`).join('') }),
    svg('path', { class: 'limit', d: `M${LEFT} ${y(limit)}H${WIDTH - RIGHT}` }),
    svg('path', { class: 'measured', d: points.map((p, i) => `${i ? 'L' : 'M'}${x(p.concurrency)} ${y(p.speedup)}`).join('') }),
    ...points.map((p) => svg('circle', { class: 'measured', cx: x(p.concurrency), cy: y(p.speedup), r: 4 })),
    ...labels.map(([words, at, name]) => text(right, at, words, 'start', name)));
}

/** False if there is nothing to draw yet. `onChoose(part)` is called when the user picks a batch. */
export function drawSweep(host, run, onChoose) {
  const curve = run.parts.length > 2 ? speedup(run.batches, run.times) : null;
  if (!curve) return false;
  const { points, limit, serial, slowest, longestMs } = curve;
  const shown = run.drawn[1];
  const head = ['At most', 'Duration', 'Speed-up', 'Amdahl’s law'];
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.concurrency : null;
  host.replaceChildren(draw(curve), el('div', {},
    el('table', {}, el('thead', {}, el('tr', {}, ...head.map((textContent) => el('th', { scope: 'col', textContent })))),
      el('tbody', {}, ...points.map(({ part, concurrency, request, speedup: s, amdahl }) => el('tr', { ariaCurrent: part === shown ? 'true' : null, data: { concurrency } },
        el('td', {}, el('button', { type: 'button', className: 'plain', textContent: `${concurrency} at a time`, ariaPressed: part === shown, title: 'Draw this batch',
          onclick: () => onChoose(part), data: { concurrency } })),
        el('td', { textContent: duration(request) }), el('td', { textContent: `${s.toFixed(2)}×` }), el('td', { textContent: `${amdahl.toFixed(2)}×` }))))),
    el('p', { className: 'hint', textContent: `Outside the rolls, ${duration(serial)} of the request cannot be shared out: that is all that Amdahl’s law counts. But a roll cannot be divided: roll ${
      slowest} takes ${duration(longestMs)}, so no batch of these rolls can be more than ${limit.toFixed(2)} times faster.` })));
  if (focused) host.querySelector(`button[data-concurrency="${focused}"]`)?.focus();
  return true;
}
