// Draws traces as bars on one time axis, and the details of a span.
import { el, svg } from './dom.js';
import { duration } from './text.js';
import { criticalPath, overlap, ownTime } from './trace.js';

const STATES = { failed: '✕ failed', cancelled: '⊘ cancelled' };
const MIN_WIDTH = '2px';
const TONES = 6;  // in style.css

/** The services of these traces, in order of appearance, which determines their colours. */
const servicesOf = (traces) => [...new Set(traces.flatMap(({ model }) => model.services))].map((service, i) => ({ service, tone: i % TONES }));

export function drawLegend(host, traces) {
  host.replaceChildren(...servicesOf(traces).map(({ service, tone }) => el('li', {}, el('i', { data: { tone } }), service)));
}

function ticks(end) {
  const rough = end / 7;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((n) => n * power >= rough);
  const inSeconds = end >= 1000;
  const digits = Math.max(0, -Math.floor(Math.log10(inSeconds ? step / 1000 : step) + 1e-9));
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, i) => ({ at: i * step,
    text: i === 0 ? '0' : inSeconds ? `${(i * step / 1000).toFixed(digits)} s` : `${(i * step).toFixed(digits)} ms` }));
}

function place(node, from, to, whole) {
  node.style.left = `${(from / whole) * 100}%`;
  node.style.width = `max(${MIN_WIDTH}, ${((to - from) / whole) * 100}%)`;
  return node;
}

function bar(span, whole) {
  const node = el('div', { className: 'bar', data: { kind: span.roll ? 'roll' : 'span', service: span.service, tone: span.tone, spanKind: span.kind, state: span.state,
    startMs: span.start.toFixed(3), endMs: span.end.toFixed(3), critical: span.critical } });
  if (span.roll) Object.assign(node.dataset, { rollStartMs: span.roll.start.toFixed(3), rollEndMs: span.roll.end.toFixed(3) });
  const length = Math.max(span.end - span.start, 1e-6);
  node.append(...ownTime(span).map(([from, to]) => place(el('i'), from - span.start, to - span.start, length)));
  return place(node, span.start, span.end, whole);
}

function row(span, whole, depth) {
  const outcome = STATES[span.state] ?? (span.result === undefined ? '' : `→ ${span.result}`);
  const name = el('span', { className: 'name', title: span.name }, el('i', { data: { tone: span.tone } }), el('span', { textContent: span.name }));
  name.style.paddingLeft = `${Math.min(depth, 5) * 10}px`;
  const node = el('div', { className: 'row', role: 'treeitem', tabIndex: -1, ariaLevel: depth + 1,
    ariaLabel: `${span.name}, ${span.service}, ${duration(span.end - span.start)} from ${duration(span.start)}${outcome && `, ${outcome.replace('→', 'result')}`}${span.critical ? ', on the critical path' : ''}`,
    data: { spanId: span.id, state: span.state, critical: span.critical } },
  name, el('div', { className: 'track' }, bar(span, whole)), el('span', { className: 'outcome', textContent: outcome }),
  el('span', { className: 'took', textContent: duration(span.end - span.start) }));
  return node;
}

function concurrencyStrip(model, whole, tallest) {
  const steps = overlap(model);
  const y = (count) => 24 - (count / tallest) * 22;
  const line = steps.map(([t, count], i) => `V${y(i ? steps[i - 1][1] : 0)}H${(t / whole) * 1000}V${y(count)}`).join('');
  const peak = Math.max(0, ...steps.map(([, count]) => count));
  return el('div', { className: 'strip' }, el('span', { className: 'name', textContent: 'rolls in progress' }),
    el('div', { className: 'track' }, svg('svg', { viewBox: '0 0 1000 24', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('path', { d: `M0 24${line}V24Z` }))),
    el('span', { className: 'outcome', textContent: `max. ${peak}` }));
}

/** Draws [{title, model}] on one time axis. If `every` is false, only the rolls are shown. */
export function drawWaterfall(host, traces, { every, selected, onSelect }) {
  const whole = Math.max(...traces.map(({ model }) => model.end)) || 1;
  const tallest = Math.max(1, ...traces.flatMap(({ model }) => overlap(model).map(([, count]) => count)));
  const tones = new Map(servicesOf(traces).map(({ service, tone }) => [service, tone]));
  const marks = ticks(whole);
  const tree = el('div', { className: 'tree', role: 'tree', ariaLabel: 'Spans: use the arrow keys to move between them' });
  const lines = el('div', { className: 'layer', ariaHidden: true }, el('div', { className: 'track' }, ...marks.map(({ at }) => place(el('i'), at, at, whole))));
  const axis = el('div', { className: 'axis', ariaHidden: true }, el('div', { className: 'track' },
    ...marks.map(({ at, text }, i) => place(el('span', { textContent: text, data: { edge: at / whole > 0.85, minor: i % 2 === 1 } }), at, at, whole))));
  const drawing = svg('svg', { class: 'critical-path', 'aria-hidden': 'true' });
  tree.append(lines);
  const found = new Map();
  const paths = traces.map(({ title, model }) => {
    const path = criticalPath(model);
    model.rows.forEach((span) => Object.assign(span, { critical: false, tone: tones.get(span.service) }));
    path.forEach(({ span }) => { span.critical = true; });
    const wholeTree = every || !model.rolls.length;
    const group = el('div', { className: 'group', role: 'group', ariaLabel: title ?? 'Trace' });
    if (title) group.append(el('div', { className: 'group-title' }, el('h4', { textContent: title }), el('span', { textContent: duration(model.end) })));
    if (model.rolls.length > 1) group.append(concurrencyStrip(model, whole, tallest));
    for (const span of wholeTree ? model.rows : model.rolls) {
      const node = row(span, whole, wholeTree ? span.depth : 0);
      found.set(node, span);
      group.append(node);
    }
    tree.append(group);
    return path;
  });
  tree.append(el('div', { className: 'layer', ariaHidden: true }, el('div', { className: 'track' }, drawing)));

  const rows = [...found.keys()];
  const choose = (node) => {
    rows.forEach((other) => { other.tabIndex = other === node ? 0 : -1; other.ariaSelected = other === node; });
    if (node) onSelect(found.get(node));
  };
  const rowOf = (event) => event.target.closest('.row');
  tree.addEventListener('focusin', (event) => choose(rowOf(event)));
  tree.addEventListener('pointerover', (event) => rowOf(event) && onSelect(found.get(rowOf(event)), true));
  tree.addEventListener('pointerleave', () => onSelect(null, true));
  tree.addEventListener('keydown', (event) => {
    const at = rows.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    rows[Math.min(Math.max(to, 0), rows.length - 1)].focus();
  });

  const hadFocus = host.contains(document.activeElement);
  host.replaceChildren(axis, tree);
  const current = rows.find((node) => found.get(node).id === selected);
  if (current) {
    choose(current);
    if (hadFocus) current.focus({ preventScroll: true });
  } else if (rows[0]) rows[0].tabIndex = 0;

  // The path uses the rows' positions in pixels, which change with the width.
  const trace = () => {
    const base = drawing.getBoundingClientRect();
    if (!base.width) return;
    const bottom = new Map(rows.map((node) => [found.get(node), node.querySelector('.bar').getBoundingClientRect().bottom - base.top + 1]));
    const [along, across] = [[], []];
    const moment = whole * 0.003;
    for (const path of paths.map((all) => all.filter(({ span, from, to }, i) => to - from > moment
        || all[i - 1]?.span.parentId !== span.id || all[i + 1]?.span.parentId !== span.id))) {
      path.forEach(({ span, from, to }, i) => {
        const y = bottom.get(span);
        if (y === undefined) return;
        along.push(`M${(from / whole) * base.width} ${y}H${(to / whole) * base.width}`);
        const before = bottom.get(path[i - 1]?.span);
        if (before !== undefined && from - path[i - 1].to < moment) across.push(`M${(from / whole) * base.width} ${before}V${y}`);
      });
    }
    drawing.replaceChildren(svg('path', { d: along.join('') }), svg('path', { class: 'across', d: across.join('') }));
  };
  host.observer?.disconnect();
  host.observer = new ResizeObserver(trace);
  host.observer.observe(tree);
}

// <wbr> allows line breaks at the dots of long attribute names without changing copied text.
const facts = (object) => el('dl', {}, ...Object.entries(object).flatMap(([key, v]) => [
  el('dt', {}, ...key.split(/(?<=[._])/).flatMap((piece) => [piece, el('wbr')])), el('dd', { textContent: String(v) })]));

export function drawDetails(host, span) {
  if (!span) return host.replaceChildren(el('p', { className: 'hint', textContent: 'Point at a span, or use ↑ and ↓, to see its details here.' }));
  const has = (object) => Object.keys(object).length > 0;
  host.replaceChildren(el('h4', { textContent: span.name }),
    el('p', { className: 'hint', textContent: [span.service, span.kind, STATES[span.state], span.critical && 'critical path'].filter(Boolean).join(' · ') }),
    facts({ start: duration(span.start), duration: duration(span.end - span.start), ...(span.message && { status: span.message }) }),
    ...has(span.attributes) ? [el('h5', { textContent: 'Attributes' }), facts(span.attributes)] : [],
    ...span.events.length ? [el('h5', { textContent: 'Events' }), el('ol', {}, ...span.events.map((event) => el('li', {},
      el('span', { textContent: `${duration(event.at)} ${event.name} ` }),
      el('small', { textContent: Object.entries(event.attributes).map(([key, v]) => `${key}=${v}`).join(' ') }))))] : []);
}
