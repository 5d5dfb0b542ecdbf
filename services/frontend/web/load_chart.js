// The chart of a load: four lanes on one time axis, and a cursor over their points.
import { el, svg } from './dom.js';
import { duration, plural, roundUp } from './text.js';

const LINES = 6; // dash patterns and colours in load.css
const UNITS = 1000; // width of the drawing, in its own units

export const rate = (n) => (n >= 9.95 || Number.isInteger(n) ? n.toFixed(0) : n.toFixed(1));
const whole = (n) => String(Math.round(n));
const swatch = (line) => svg('svg', { class: 'load-swatch', viewBox: '0 0 28 8', 'aria-hidden': 'true' }, svg('path', { 'data-line': line, d: 'M1,4H27' }));

// Each line is {label, value(point) → number, or null where there is none}.
const LANES = [
  { key: 'requests', title: 'Requests per second', format: rate, least: 1, lines: () => [{ label: '', value: (p) => p.rate() }] },
  { key: 'latency', title: 'Latency', format: duration, least: 10, lines: () => [
    { label: 'p50', value: (p) => p.quantile(0.5) }, { label: 'p99', value: (p) => p.quantile(0.99) }] },
  { key: 'errors', title: 'Errors per second', format: rate, least: 1, lines: (load) => [...load.errors.keys()].map((code) => (
    { label: code, value: (p) => p.rate(p.errors.get(code) ?? 0) })) },
  { key: 'rolls', title: 'Rolls in flight, at most', format: whole, least: 1, lines: () => [{ label: '', value: (p) => p.rolls }] },
];

class Lane {
  constructor({ key, title, format, least, lines }) {
    Object.assign(this, { format, least, lines, labels: null, paths: [], values: [] });
    this.legend = el('span', { className: 'load-legend' });
    this.top = el('span');
    this.drawing = svg('svg', { viewBox: `0 0 ${UNITS} 100`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    this.node = el('div', { className: 'load-lane', data: { lane: key } },
      el('p', {}, el('b', { textContent: title }), this.legend), el('div', { className: 'load-scale' }, this.top, el('span', { textContent: '0' })), this.drawing);
  }

  /** `shown` is the point whose values are written beside the lines. */
  draw(load, shown, x, bands) {
    const lines = this.lines(load);
    const labels = lines.map(({ label }) => label).join();
    if (labels !== this.labels) this.#build(lines, labels);
    const max = roundUp(load.points.reduce((most, point) => lines.reduce((m, { value }) => Math.max(m, value(point) ?? 0), most), this.least));
    this.top.textContent = this.format(max);
    this.band.setAttribute('d', bands);
    lines.forEach(({ value }, i) => {
      let d = '';
      let pen = false;
      load.points.forEach((point, at) => {
        const v = value(point);
        // A point of its own is a line of length 0: a dot, because its ends are round.
        if (v !== null) d += `${pen ? 'L' : `M${x(at + 0.5)},${100 - (v / max) * 100}L`}${x(at + 0.5)},${100 - (v / max) * 100}`;
        pen = v !== null;
      });
      this.paths[i].setAttribute('d', d);
      const v = shown ? value(shown) : null;
      this.values[i].textContent = v === null ? '–' : this.format(v);
    });
  }

  #build(lines, labels) {
    this.labels = labels;
    this.band = svg('path', { class: 'load-band', 'vector-effect': 'non-scaling-stroke' });
    this.paths = lines.map((_, i) => svg('path', { 'data-line': i % LINES, 'vector-effect': 'non-scaling-stroke' }));
    this.values = lines.map(() => el('b'));
    this.drawing.replaceChildren(this.band, svg('path', { class: 'load-grid', d: `M0,0H${UNITS}M0,100H${UNITS}`, 'vector-effect': 'non-scaling-stroke' }), ...this.paths);
    this.legend.replaceChildren(...lines.map(({ label }, i) => el('span', {}, swatch(i % LINES), label && `${label.replaceAll('_', ' ')} `, this.values[i])),
      ...lines.length ? [] : ['none']);
  }
}

export class LoadChart {
  /** `onOpen(traceId)` is called with the slowest trace of the point that was chosen. */
  constructor(onOpen) {
    Object.assign(this, { onOpen, load: null, chosen: null, lanes: LANES.map((lane) => new Lane(lane)) });
    this.cursor = el('i', { className: 'load-cursor', hidden: true });
    this.plot = el('div', { className: 'load-plot', tabIndex: 0, role: 'slider', ariaLabel: 'Point in time. Enter opens its slowest trace.' },
      ...this.lanes.map(({ node }) => node), this.cursor);
    this.axis = el('div', { className: 'load-axis', ariaHidden: 'true' });
    this.words = el('span');
    this.button = el('button', { type: 'button', onclick: () => this.#open() });
    this.node = el('div', { className: 'load-chart', hidden: true }, this.plot, this.axis,
      el('p', { className: 'hint', textContent: 'Shaded: a fault was on. Each point opens the slowest trace of its time: click it, or use ← → and Enter.' }),
      el('p', { className: 'load-read' }, this.words, this.button));
    this.plot.addEventListener('pointermove', (event) => this.#choose(this.#at(event)));
    this.plot.addEventListener('click', (event) => { this.#choose(this.#at(event)); this.#open(); });
    this.plot.addEventListener('keydown', (event) => this.#key(event));
  }

  draw(load) {
    if (load !== this.load) Object.assign(this, { load, chosen: null, width: load.width });
    // Two points became one.
    if (load.width !== this.width && this.chosen !== null) this.chosen = Math.floor((this.chosen * this.width) / load.width);
    this.width = load.width;
    const { points } = load;
    this.node.hidden = !points.length;
    if (!points.length) return;
    let span = Number.isFinite(load.seconds) ? load.seconds : 60;
    while (points.length * (load.width / 1000) > span + 0.5) span *= 1.5;
    this.span = span;
    const x = (at) => Math.round(((at * load.width) / 1000 / span) * UNITS * 10) / 10;
    let bands = '';
    points.forEach(({ faulty }, i) => {
      if (faulty && !points[i - 1]?.faulty) bands += `M${x(i)},0V100`;
      if (faulty && !points[i + 1]?.faulty) bands += `H${x(i + 1)}V0Z`;
    });
    const shown = points[this.chosen ?? points.length - 1];
    for (const lane of this.lanes) lane.draw(load, shown, x, bands);
    this.axis.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((part) => el('span', { textContent: `${rate(span * part)} s` })));
    this.#read();
  }

  #at({ clientX }) {
    const { left, width } = this.lanes[0].drawing.getBoundingClientRect();
    return Math.floor(((clientX - left) / width) * this.span * (1000 / this.load.width));
  }

  #choose(at) {
    this.chosen = Math.max(0, Math.min(at, this.load.points.length - 1));
    this.draw(this.load);
  }

  #key(event) {
    const last = this.load.points.length - 1;
    const at = this.chosen ?? last;
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 10, PageUp: at + 10, Home: 0, End: last }[event.key];
    if (to !== undefined) this.#choose(to);
    else if (event.key === 'Enter' || event.key === ' ') this.#open();
    else return;
    event.preventDefault();
  }

  #open() {
    const { slowest } = this.load.points[this.chosen ?? this.load.points.length - 1];
    if (slowest) this.onOpen(slowest.traceId);
  }

  #read() {
    const { load, plot, span } = this;
    const last = load.points.length - 1;
    const at = this.chosen ?? last;
    const point = load.points[at];
    const [from, to] = [at, at + 1].map((n) => rate((n * load.width) / 1000));
    const errors = [...point.errors].map(([code, n]) => `${n} ${code.replaceAll('_', ' ')}`);
    const text = [`${from} to ${to} s: ${plural(point.requests, 'request')}`,
      point.slowest && `p50 ${duration(point.quantile(0.5))}, p99 ${duration(point.quantile(0.99))}`,
      errors.length ? `errors: ${errors.join(', ')}` : 'no errors', `at most ${plural(point.rolls, 'roll')} in flight`].filter(Boolean).join(' · ');
    this.words.textContent = text;
    this.button.hidden = !point.slowest;
    this.button.textContent = point.slowest && `Open its slowest trace, ${duration(point.slowest.ms)}`;
    for (const [key, v] of Object.entries({ min: 0, max: last, now: at, text })) plot.setAttribute(`aria-value${key}`, v);
    this.cursor.hidden = this.chosen === null;
    this.cursor.style.setProperty('--at', ((at + 0.5) * load.width) / 1000 / span);
  }
}
