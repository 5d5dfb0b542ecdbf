// Draws traces as bars on one time axis, and keeps them up to date while their spans run.
import { el, svg } from './dom.js';
import { duration, roundUp } from './text.js';
import { criticalPath, overlap, ownTime } from './trace.js';

export const STATES = { failed: '✕ failed', cancelled: '⊘ cancelled', open: 'running' };
const MIN_WIDTH = '2px';
const TONES = 6;  // in style.css
const MANY = 40;  // rolls that are drawn compactly unless the user wants otherwise
// Ends of an axis: those of a finished trace, and the few of one that grows, so that it seldom changes.
const FINE = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const COARSE = [1, 1.5, 2.5, 4, 6, 10];

/** The end of the axis: while the run is `live` it only grows, from one second; at the end it stays, unless less than half of it is used. */
export function axisEnd(models, before, live) {
  const end = Math.max(...models.map((model) => model.end), 0.001);
  if (live || models.some((model) => model.open)) return Math.max(before, end > 1000 ? roundUp(end, COARSE) : 1000);
  return before >= end && end > before / 2 ? before : roundUp(end, FINE);
}

/** The services of these traces, in order of appearance, which determines their colours. */
export const tonesOf = (models) => new Map([...new Set(models.flatMap((model) => model.services))].map((service, i) => [service, i % TONES]));

function ticks(from, to) {
  const step = roundUp((to - from) / 7);
  const inSeconds = to >= 1000;
  const digits = Math.max(0, -Math.floor(Math.log10(inSeconds ? step / 1000 : step) + 1e-9));
  const first = Math.ceil(from / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(to / step + 1e-9) - first + 1) }, (_, i) => (first + i) * step).map((at) => ({ at,
    text: at === 0 ? '0' : inSeconds ? `${(at / 1000).toFixed(digits)} s` : `${at.toFixed(digits)} ms` }));
}

export class Waterfall {
  #rows = new Map();  // key: part and span id -> {node, span, part, bar, own}
  #collapsed = new Set();
  #view = { from: 0, to: 1, zoomed: false };
  #parts = [];
  #options = {};

  /** `onSelect(span, part)` is called with what the user selects (null: nothing), `onLight(part, index)` with the roll that is pointed at. */
  constructor(host, { onSelect, onLight }) {
    Object.assign(this, { host, onSelect, onLight });
    this.axis = el('div', { className: 'axis', ariaHidden: true });
    this.lines = el('div', { className: 'layer', ariaHidden: true });
    this.path = svg('svg', { class: 'critical-path', 'aria-hidden': 'true' });
    this.range = el('div', { className: 'range', hidden: true });
    this.groups = el('div');
    this.plot = el('div', { className: 'plot' }, this.lines, this.groups,
      el('div', { className: 'layer', ariaHidden: true }, el('div', { className: 'track' }, this.path, this.range)));
    host.replaceChildren(this.axis, this.plot);
    new ResizeObserver(() => this.#drawPath()).observe(this.plot);
    this.groups.addEventListener('focusin', (event) => this.#choose(this.#entryOf(event)));
    this.groups.addEventListener('click', (event) => {
      const entry = this.#entryOf(event);
      if (event.target.closest('.fold') && entry) this.#fold(entry, !this.#collapsed.has(entry.span.id));
    });
    this.groups.addEventListener('pointerover', (event) => this.#pointAt(this.#entryOf(event)));
    this.groups.addEventListener('pointerleave', () => this.#pointAt(null));
    this.groups.addEventListener('keydown', (event) => this.#onKey(event));
    host.addEventListener('pointerdown', (event) => this.#onDrag(event));
  }

  /** Draws the models of `parts`: [{title, model}]. If `every` is false, only the rolls are shown. `end`: of the axis, in ms. */
  draw(parts, { every, end, selected, compact }) {
    const models = parts.map(({ model }) => model);
    const changed = this.#parts.length !== parts.length || this.#parts.some((part, i) => part !== parts[i]);
    if (changed) this.#view.zoomed = false;
    this.#parts = parts;
    this.#options = { every, end, selected, compact };
    if (!this.#view.zoomed) Object.assign(this.#view, { from: 0, to: end });
    this.plot.toggleAttribute('data-compact', compact ?? models.some((model) => model.rolls.length > MANY));
    const tones = tonesOf(models);
    const tallest = Math.max(1, ...models.flatMap((model) => overlap(model).map(([, count]) => count)));
    const kept = new Set();
    if (changed) this.groups.replaceChildren();
    parts.forEach((part, i) => {
      const { model, title } = part;
      const tree = this.groups.children[i] ?? this.groups.appendChild(el('div', { className: 'group' }, el('div', { className: 'group-title' }),
        el('div', { className: 'strip' }), el('div', { className: 'tree', role: 'tree' })));
      const [heading, strip, rows] = tree.children;
      heading.hidden = !title;
      heading.replaceChildren(el('strong', { textContent: title }), el('span', { textContent: duration(model.end) }));
      rows.ariaLabel = `${title ? `${title}: ` : ''}spans; the arrow keys move between them`;
      strip.hidden = model.rolls.length < 2;
      if (!strip.hidden) this.#drawStrip(strip, model, tallest);
      part.path = model.open ? [] : criticalPath(model);
      const critical = new Set(part.path.map(({ span }) => span));
      const whole = every || !model.rolls.length;
      const hidden = new Set();
      let position = 0;
      for (const span of whole ? model.rows : model.rolls) {
        if (hidden.has(span.parentId)) { hidden.add(span.id); continue; }
        if (this.#collapsed.has(span.id)) hidden.add(span.id);
        Object.assign(span, { critical: critical.has(span), tone: tones.get(span.service) });
        const entry = this.#row(`${i} ${span.id}`, span, part, whole ? span.depth : 0);
        kept.add(entry);
        if (rows.children[position] !== entry.node) rows.insertBefore(entry.node, rows.children[position] ?? null);
        position += 1;
      }
    });
    for (const [key, entry] of this.#rows) if (!kept.has(entry)) { entry.node.remove(); this.#rows.delete(key); }
    this.#drawAxis();
    const entries = [...this.#rows.values()];
    const current = entries.find(({ span }) => span.id === selected);
    for (const entry of entries) entry.node.ariaSelected = entry === current;
    // One row per tree can be reached with Tab.
    for (const part of parts) {
      const own = entries.filter((entry) => entry.part === part);
      const stop = own.includes(current) ? current : own[0];
      for (const entry of own) entry.node.tabIndex = entry === stop ? 0 : -1;
    }
    this.#drawPath();
  }

  /** Lets the bars of running spans grow until the next answer. */
  tick() {
    for (const { span, part: { model }, bar, own } of this.#rows.values()) {
      if (!span.open) continue;
      const now = Math.min(model.now + performance.now() - model.at, this.#view.zoomed ? Infinity : this.#view.to);
      this.#place(bar, span.start, Math.max(now, span.end));
      if (own.last) this.#place(own.last, own.from, Math.max(now, span.end));
    }
  }

  /** Marks the rows of a roll. */
  light(part, index) {
    for (const entry of this.#rows.values()) entry.node.toggleAttribute('data-lit', entry.part === part && entry.span.roll !== undefined && entry.span.rollIndex === index);
  }

  /** Factor < 1 zooms in, around the selected span or the middle; 0 shows everything. */
  zoom(factor) {
    const { from, to } = this.#view;
    const selected = [...this.#rows.values()].find(({ span }) => span.id === this.#options.selected)?.span;
    const middle = selected ? (selected.start + selected.end) / 2 : (from + to) / 2;
    const half = factor * (to - from) / 2;
    this.#show(middle - half, middle + half, factor === 0);
  }

  focus(spanId) {
    [...this.#rows.values()].find(({ span }) => span.id === spanId)?.node.focus();
  }

  #show(from, to, whole = false) {
    const { end } = this.#options;
    const length = Math.max(to - from, 0.01);
    const start = Math.min(Math.max(from, 0), end - length);
    this.#view = whole || length >= end ? { from: 0, to: end, zoomed: false } : { from: start, to: start + length, zoomed: true };
    this.draw(this.#parts, this.#options);
  }

  #place(node, from, to) {
    const { from: start, to: end } = this.#view;
    node.style.left = `${((from - start) / (end - start)) * 100}%`;
    node.style.width = `max(${MIN_WIDTH}, ${((to - from) / (end - start)) * 100}%)`;
    return node;
  }

  #row(key, span, part, depth) {
    let entry = this.#rows.get(key);
    const { from, to } = this.#view;
    const signature = [span.start, span.end, span.state, span.critical, span.tone, depth, span.children.length, this.#collapsed.has(span.id), from, to].join();
    if (!entry) {
      const bar = el('div', { className: 'bar' });
      entry = { bar, node: el('div', { className: 'row', role: 'treeitem', tabIndex: -1 },
        el('span', { className: 'name', title: `${span.name} · ${span.service}` }), el('div', { className: 'track' }, bar),
        el('span', { className: 'outcome' }), el('span', { className: 'took' })) };
      this.#rows.set(key, entry);
    }
    Object.assign(entry, { span, part });
    if (entry.signature !== signature) this.#fill(entry, depth);
    entry.signature = signature;
    return entry;
  }

  #fill(entry, depth) {
    const { node, span, bar } = entry;
    const [name, track, outcome, took] = node.children;
    const folded = this.#collapsed.has(span.id);
    const foldable = span.children.length > 0 && this.#options.every;
    const said = STATES[span.state] ?? (span.result === undefined ? '' : `→ ${span.result}`);
    name.replaceChildren(el('span', { className: 'fold', ariaHidden: true, textContent: foldable ? (folded ? '▸' : '▾') : '' }), el('i', { data: { tone: span.tone } }),
      el('span', { textContent: span.name }), el('small', { textContent: span.service }));
    name.style.paddingLeft = `${Math.min(depth, 5) * 6}px`;
    outcome.textContent = said;
    took.textContent = span.open ? '' : duration(span.end - span.start);
    Object.assign(node.dataset, { spanId: span.id, state: span.state, critical: span.critical });
    node.ariaLevel = depth + 1;
    node.ariaExpanded = foldable ? !folded : null;
    node.ariaLabel = [span.name, span.service, `${span.open ? 'running since' : `${duration(span.end - span.start)} from`} ${duration(span.start)}`,
      said && !span.open && said.replace('→', 'result'), span.critical && 'on the critical path'].filter(Boolean).join(', ');
    Object.assign(bar.dataset, { kind: span.roll ? 'roll' : 'span', service: span.service, tone: span.tone, spanKind: span.kind, state: span.state,
      startMs: span.start, endMs: span.end, critical: span.critical });
    if (span.roll) Object.assign(bar.dataset, { rollStartMs: span.roll.start, rollEndMs: span.roll.end });
    const own = ownTime(span);
    const pieces = own.map(([from, to]) => this.#place(el('i', { data: { tone: span.tone } }), from, to));
    // Of a running span, the last piece grows, unless it waits for one of its children.
    entry.own = span.open && !span.children.some((child) => child.open) && own.length ? { from: own.at(-1)[0], last: pieces.at(-1) } : {};
    track.replaceChildren(this.#place(bar, span.start, span.end), ...pieces);
  }

  #drawAxis() {
    const { from, to } = this.#view;
    const marks = ticks(from, to);
    const at = (node, t) => { node.style.left = `${((t - from) / (to - from)) * 100}%`; return node; };
    this.axis.replaceChildren(el('div', { className: 'track' }, ...marks.map(({ at: t, text }, i) =>
      at(el('span', { textContent: text, data: { edge: (t - from) / (to - from) > 0.93, minor: i % 2 === 1 } }), t))));
    this.axis.dataset.endMs = to;
    this.lines.replaceChildren(el('div', { className: 'track' }, ...marks.map(({ at: t }) => at(el('i'), t))));
  }

  #drawStrip(host, model, tallest) {
    const { from, to } = this.#view;
    const steps = overlap(model);
    const x = (t) => ((Math.min(Math.max(t, from), to) - from) / (to - from)) * 1000;
    const y = (count) => 24 - (count / tallest) * 22;
    const line = steps.map(([t, count], i) => `V${y(i ? steps[i - 1][1] : 0)}H${x(t)}V${y(count)}`).join('');
    const peak = Math.max(0, ...steps.map(([, count]) => count));
    host.replaceChildren(el('span', { className: 'name', textContent: 'rolls in progress' }),
      el('div', { className: 'track' }, svg('svg', { viewBox: '0 0 1000 24', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('path', { d: `M0 24${line}V24Z` }))),
      el('span', { className: 'outcome', textContent: `peak ${peak}` }));
  }

  // It uses the rows' positions in pixels, which change with the width.
  #drawPath() {
    const base = this.path.getBoundingClientRect();
    if (!base.width) return;
    const { from: start, to: end } = this.#view;
    const x = (t) => ((t - start) / (end - start)) * base.width;
    const moment = (end - start) * 0.003;
    const bottom = new Map([...this.#rows.values()].filter(({ span }) => span.critical).map(({ span, bar }) => [span, bar.getBoundingClientRect().bottom - base.top + 1]));
    const [along, across] = [[], []];
    for (const path of this.#parts.map((part) => (part.path ?? []).filter(({ span, from, to }, i, all) => to - from > moment
        || all[i - 1]?.span.parentId !== span.id || all[i + 1]?.span.parentId !== span.id))) {
      path.forEach(({ span, from, to }, i) => {
        const y = bottom.get(span);
        if (y === undefined) return;
        along.push(`M${x(from)} ${y}H${x(to)}`);
        const before = bottom.get(path[i - 1]?.span);
        if (before !== undefined && from - path[i - 1].to < moment) across.push(`M${x(from)} ${before}V${y}`);
      });
    }
    this.path.replaceChildren(svg('path', { d: along.join('') }), svg('path', { class: 'across', d: across.join('') }));
  }

  #entryOf(event) {
    const node = event.target.closest?.('.row');
    return node && [...this.#rows.values()].find((entry) => entry.node === node);
  }

  #choose(entry) {
    if (!entry) return;
    this.#options.selected = entry.span.id;
    for (const other of this.#rows.values()) {
      other.node.ariaSelected = other === entry;
      if (other.part === entry.part) other.node.tabIndex = other === entry ? 0 : -1;
    }
    this.onSelect(entry.span, entry.part);
  }

  #pointAt(entry) {
    this.onLight(entry?.part ?? null, entry?.span.roll ? entry.span.rollIndex : null);
  }

  #fold(entry, folded) {
    if (!entry.span.children.length) return;
    this.#collapsed[folded ? 'add' : 'delete'](entry.span.id);
    this.draw(this.#parts, this.#options);
  }

  #onKey(event) {
    const entry = this.#entryOf(event);
    if (!entry || event.ctrlKey || event.metaKey || event.altKey) return;
    const nodes = [...entry.node.parentElement.children];
    const at = nodes.indexOf(entry.node);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: nodes.length - 1 }[event.key];
    const folded = this.#collapsed.has(entry.span.id);
    const act = {
      ArrowLeft: () => (entry.span.children.length && !folded && this.#options.every ? this.#fold(entry, true) : this.focus(entry.span.parentId)),
      ArrowRight: () => (folded ? this.#fold(entry, false) : this.focus(entry.span.children[0]?.id)),
      '+': () => this.zoom(0.5), '-': () => this.zoom(2), 0: () => this.zoom(0),
      Escape: () => { this.#options.selected = null; entry.node.ariaSelected = false; this.onSelect(null); },
    }[event.key];
    if (to === undefined && !act) return;
    event.preventDefault();
    if (event.key === 'Escape') event.stopPropagation();
    if (act) act();
    else nodes[Math.min(Math.max(to, 0), nodes.length - 1)].focus();
  }

  // Dragging along the time axis zooms to what was passed over.
  #onDrag(down) {
    if (down.pointerType !== 'mouse' || down.button !== 0 || down.target.closest('.fold')) return;
    const box = this.path.getBoundingClientRect();
    const { from, to } = this.#view;
    const time = (event) => from + (to - from) * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    if (down.clientX < box.left || down.clientX > box.right) return;
    const stop = new AbortController();
    const listen = (type, call) => addEventListener(type, call, { signal: stop.signal });
    const far = (event) => Math.abs(event.clientX - down.clientX) > 6;
    listen('pointermove', (event) => {
      this.range.hidden = !far(event);
      const [a, b] = [time(down), time(event)].sort((one, other) => one - other);
      this.#place(this.range, a, b);
    });
    listen('pointerup', (event) => {
      stop.abort();
      this.range.hidden = true;
      if (far(event)) this.#show(...[time(down), time(event)].sort((one, other) => one - other));
    });
    listen('pointercancel', () => { stop.abort(); this.range.hidden = true; });
  }
}
