// Shows the result of a run: dice, figures, trace, error.
import { die, distribution, statistics } from './dice.js';
import { el, ids } from './dom.js';
import { judge } from './figures.js';
import { grafanaLinks } from './grafana.js';
import { valuesOf } from './run.js';
import { duration } from './text.js';
import { drawDetails, drawLegend, drawWaterfall } from './waterfall.js';

function drawPart(part, words) {
  const { title, slots } = part;
  const node = el('div', { className: 'part' });
  if (title) node.append(el('h3', { textContent: title }));
  const note = words.winner && slots.length > 1 ? words.winner : undefined;
  node.append(el('ul', { className: 'dice', ariaLabel: 'Dice' }, ...slots.map((slot, i) => die(slot.state === 'ok' ? { ...slot, note } : slot, i))));
  const got = valuesOf(part);
  if (slots.length === 1 || !got.length || slots.some((slot) => slot.state === 'rolling')) return node;
  const { total, mean, min, max } = statistics(got);
  const facts = { total, ...(got.length > 1 && { mean: mean.toFixed(2), min, max }), succeeded: `${got.length} of ${slots.length}` };
  node.append(el('div', { className: 'statistics' }, el('dl', {}, ...Object.entries(facts).map(([key, v]) =>
    el('div', { data: { stat: key } }, el('dt', { textContent: key }), el('dd', { textContent: v })))), ...got.length > 1 ? [distribution(got)] : []));
  return node;
}

function figure({ key, label, value, share, note }) {
  const node = el('div', { data: { figure: key } }, el('dt', { textContent: label }), el('dd', { className: 'big', textContent: typeof value === 'number' ? duration(value) : value }));
  if (share !== undefined) {
    const gauge = el('i');
    gauge.style.width = `max(2px, ${share * 100}%)`;
    node.append(el('dd', { className: 'gauge' }, gauge));
  }
  node.append(el('dd', { className: 'hint', textContent: note }));
  return node;
}

export class Drawing {
  /** `config.grafana_url` is read whenever a trace is drawn; `onCancel()` is called by the button. */
  constructor(root, config, onCancel) {
    Object.assign(this, { config, ui: ids(root), run: null });
    this.ui.cancel.addEventListener('click', onCancel);
    this.ui.every.addEventListener('change', ({ target }) => { this.run.every = target.checked; this.trace(); });
  }

  show(run) {
    this.run = run;
    this.ui.empty.hidden = true;
    this.ui.run.hidden = false;
    this.ui.run.dataset.state = run.state;
    this.ui['run-title'].textContent = run.title;
    this.elapsed();
    this.problem();
    this.result();
  }

  setBusy(busy) {
    this.ui.cancel.hidden = !busy;
  }

  elapsed() {
    this.ui.elapsed.textContent = duration(this.run.elapsed);
  }

  result() {
    this.dice();
    this.figures();
    this.trace();
  }

  dice() {
    this.ui.parts.replaceChildren(...this.run.parts.map((part) => drawPart(part, this.run.words)));
  }

  figures() {
    const { verdict, list } = judge(this.run);
    this.ui.figures.replaceChildren(...list.map(figure));
    this.ui.figures.hidden = !list.length;
    this.ui.verdict.textContent = verdict;
    this.ui.verdict.hidden = !verdict;
  }

  trace() {
    const { ui, run } = this;
    if (!run) return;
    const traces = run.parts.filter(({ model }) => model?.rows.length);
    ui.trace.hidden = !run.parts.some(({ traceId }) => traceId);
    ui['trace-status'].textContent = [...new Set(run.parts.map(({ traceNote }) => traceNote).filter(Boolean))].join(' ');
    ui.trace.dataset.complete = run.ms !== undefined && run.parts.every(({ complete }) => complete);
    ui['trace-links'].replaceChildren(...run.parts.filter(({ traceId }) => traceId).map(({ title, traceId, model }) => el('li', {}, title,
      ...grafanaLinks(this.config.grafana_url, traceId, run.at, model?.services).map(([textContent, href]) => el('a', { textContent, href, target: '_blank', rel: 'noopener noreferrer' })),
      el('code', { textContent: traceId }))));
    ui['every-label'].hidden = run.kind !== 'compare' || !traces.length;
    ui.every.checked = run.every;
    ui['trace-view'].hidden = !traces.length;
    if (!traces.length) return;
    const onSelect = (span, passing = false) => {
      if (!passing) run.selected = span;
      drawDetails(ui.details, span ?? run.selected);
    };
    drawWaterfall(ui.waterfall, traces, { every: run.every, selected: run.selected?.id, onSelect });
    drawLegend(ui['legend-services'], traces);
    drawDetails(ui.details, run.selected);
  }

  problem() {
    const { ui, run: { error, words } } = this;
    ui.problem.hidden = !error;
    if (!error) return ui.problem.replaceChildren();
    const { code, detail, traceId } = error;
    const { what, next } = error.words();
    ui.problem.dataset.code = code;
    ui.problem.replaceChildren(el('strong', { textContent: (code === 'batch_failed' && words.batchFailed) || what }), el('span', { textContent: next }),
      el('small', { textContent: [detail && `${code}: ${detail}`, traceId && `trace ${traceId}`].filter(Boolean).join(' · ') }));
  }
}
