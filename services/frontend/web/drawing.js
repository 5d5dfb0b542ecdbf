// Shows a run: dice, verdict, trace, figures, error.
import { get } from './api.js';
import { atOf, drawDetails, drawLogLines } from './details.js';
import { die, distribution, statistics } from './dice.js';
import { el, ids } from './dom.js';
import { grafanaLinks } from './grafana.js';
import { isRead, progressOf, valuesOf } from './run.js';
import { drawSweep } from './sweep.js';
import { duration, plural } from './text.js';
import { judge } from './verdict.js';
import { axisEnd, tonesOf, Waterfall } from './waterfall.js';

/** The slots as they are shown: a roll that has no span yet, although others have, waits for a thread. */
function slotsOf(part, words) {
  const begun = new Set(part.model?.rolls.map(({ rollIndex }) => rollIndex));
  const note = words.winner && part.slots.length > 1 ? words.winner : undefined;
  const waits = (i) => part.state === 'waiting' || (begun.size > 0 && !begun.has(i));
  return part.slots.map((slot, i) => (slot.state === 'ok' ? { ...slot, note } : slot.state === 'rolling' && waits(i) ? { state: 'waiting' } : slot));
}

function drawPart({ title }, slots) {
  const list = el('ul', { className: 'dice', ariaLabel: `Dice${title && `, ${title}`}` }, ...slots.map(die));
  list.toggleAttribute('data-many', slots.length > 40);
  return el('div', { className: 'part' }, ...(title ? [el('h3', { textContent: title })] : []), list);
}

function drawStatistics(part) {
  const got = valuesOf(part);
  if (part.slots.length === 1 || !got.length) return [];
  const { total, mean, min, max } = statistics(got);
  const facts = { total, ...(got.length > 1 && { mean: mean.toFixed(2), minimum: min, maximum: max }), succeeded: `${got.length} of ${part.slots.length}` };
  return [el('dl', {}, ...Object.entries(facts).map(([key, v]) => el('div', { data: { stat: key } }, el('dt', { textContent: key }), el('dd', { textContent: v })))),
    ...got.length > 1 ? [distribution(got)] : []];
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

/** Without a secure origin there is no clipboard. */
async function copy(button, text) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    window.prompt(`${said}:`, text);
  }
  setTimeout(() => { button.textContent = said; }, 1500);
}

export class Drawing {
  #lit = [];
  #dice = null;  // as drawn: the run, and each part with its slots

  /** `config.grafana_url` is read whenever a trace is drawn; `addressOf(run)` is the link to a run; `onCancel(run)` is called by the button. */
  constructor(root, config, { addressOf, onCancel }) {
    Object.assign(this, { config, addressOf, ui: ids(root), run: null });
    const { ui } = this;
    ui.cancel.addEventListener('click', () => onCancel(this.run));
    ui.every.addEventListener('change', ({ target }) => { this.run.every = target.checked; this.trace(); });
    ui.compact.addEventListener('change', ({ target }) => { this.run.compact = target.checked; this.trace(); });
    const onSelect = (span, part) => { this.run.selected = span && { id: span.id, part }; this.details(); };
    this.waterfall = new Waterfall(ui.waterfall, { onSelect, onLight: (part, index) => this.light(part, index) });
    for (const [id, factor] of [['zoom-in', 0.5], ['zoom-out', 2], ['zoom-reset', 0]]) ui[id].addEventListener('click', () => this.waterfall.zoom(factor));
    ui.parts.addEventListener('pointerover', (event) => this.light(...this.#dieAt(event)));
    ui.parts.addEventListener('pointerleave', () => this.light(null, null));
  }

  show(run) {
    this.run = run;
    this.ui.empty.hidden = Boolean(run);
    this.ui.run.hidden = !run;
    if (!run) { this.ui.problem.hidden = true; return; }
    this.all();
  }

  /** Draws everything that may have changed. */
  all() {
    const { run, ui } = this;
    ui.run.dataset.state = run.state;
    ui['run-title'].textContent = run.title;
    ui.cancel.hidden = run.state !== 'rolling' || run.kind === 'trace';
    this.problem();
    this.dice();
    this.figures();
    this.trace();
    this.headline();
  }

  /** Draws what changes with time alone; called for every frame. */
  tick() {
    const { run } = this;
    if (!run || (run.state !== 'rolling' && !run.parts.some(({ model }) => model?.open))) return;
    this.headline();
    this.waterfall.tick();
  }

  headline() {
    const { ui, run } = this;
    const part = run.parts.find(({ state }) => state === 'rolling') ?? run.parts[0];
    const { all, ended, atWork } = progressOf(part);
    ui.elapsed.textContent = run.kind === 'trace' && run.state === 'rolling' ? '' : duration(run.elapsed);
    ui.progress.textContent = `${part.title && `${part.title}: `}${atWork} of ${plural(all, 'roll')} at work, ${ended} ended.`;
    ui.progress.hidden = run.state !== 'rolling' || all < 2;
  }

  dice() {
    const { ui, run } = this;
    const parts = run.drawn.map((part) => ({ part, title: part.title, slots: slotsOf(part, run.words) }));
    const same = this.#dice?.run === run && this.#dice.parts.length === parts.length
      && parts.every(({ part, title, slots }, i) => part === this.#dice.parts[i].part && title === this.#dice.parts[i].title && slots.length === this.#dice.parts[i].slots.length);
    if (same) {  // only the dice that have changed, so that the others keep their looks
      parts.forEach(({ slots }, i) => slots.forEach((slot, index) => {
        const before = this.#dice.parts[i].slots[index];
        if (slot.state !== before.state || slot.value !== before.value || slot.note !== before.note) ui.parts.children[i].querySelectorAll('.die')[index].replaceWith(die(slot, index));
      }));
    } else {
      ui.parts.replaceChildren(...parts.map(({ part, slots }) => drawPart(part, slots)));
    }
    this.#dice = { run, parts };
  }

  figures() {
    const { run, ui } = this;
    const { verdict, list } = judge(run);
    ui.figures.replaceChildren(...list.map(figure));
    ui.figures.hidden = !list.length;
    ui.statistics.replaceChildren(...run.state === 'rolling' || run.parts.length > 1 ? [] : drawStatistics(run.parts[0]));
    if (ui.verdict.textContent !== verdict) ui.verdict.textContent = verdict;
    ui.verdict.hidden = !verdict || run.state === 'rolling';
    ui.sweep.hidden = !drawSweep(ui['sweep-view'], run, (part) => { run.shown = run.parts.indexOf(part); this.all(); });
  }

  trace() {
    const { ui, run } = this;
    if (!run) return;
    const drawn = run.drawn.filter(({ model }) => model?.rows.length);
    ui.trace.hidden = !run.parts.some(({ traceId }) => traceId);
    ui['trace-status'].textContent = [...new Set(run.drawn.map(({ note }) => note).filter(Boolean))].join(' ');
    ui.trace.dataset.complete = run.state !== 'rolling' && run.parts.every(({ complete, state }) => complete || state === 'waiting');
    for (const id of ['trace-view', 'legend', 'tools']) ui[id].hidden = !drawn.length;
    this.links();
    if (!drawn.length) return;
    const models = drawn.map(({ model }) => model);
    run.axis = axisEnd(models, run.axis, run.state === 'rolling' && run.kind !== 'trace');
    ui['every-label'].hidden = run.parts.length < 2;
    ui.every.checked = run.every;
    ui.waterfall.style.minHeight = run.state === 'rolling' ? `${Math.min(24 * (5 + run.times), 1000)}px` : '';
    this.waterfall.draw(drawn, { every: run.every, end: run.axis, selected: run.selected?.id, compact: run.compact });
    ui.compact.checked = this.waterfall.plot.hasAttribute('data-compact');
    ui.legend.querySelector('[data-services]')?.remove();
    ui.legend.prepend(el('ul', { data: { services: '' } }, ...[...tonesOf(models)].map(([service, tone]) => el('li', {}, el('i', { data: { tone } }), service))));
    this.details();
    this.logs();
  }

  links() {
    const { ui, run } = this;
    const shown = run.drawn.filter(({ traceId }) => traceId);
    const key = JSON.stringify([this.config.grafana_url, run.file, run.traceIds, shown.map(({ title, traceId, settled, model }) => [title, traceId, settled, model?.services])]);
    if (ui['trace-links'].dataset.key === key) return;
    ui['trace-links'].dataset.key = key;
    const button = (textContent, text) => el('button', { type: 'button', className: 'plain', textContent, onclick: ({ target }) => copy(target, text) });
    const link = (textContent, href, more) => el('a', { textContent, href, ...more });
    const away = { target: '_blank', rel: 'noopener noreferrer' };
    ui['trace-links'].replaceChildren(...shown.map(({ title, traceId, model }, i) => el('li', {}, title && el('span', { textContent: title }),
      ...run.file ? [] : [...i ? [] : [button('Copy link', new URL(this.addressOf(run), location.href).href)],
        link('Download OTLP JSON', `api/traces/${traceId}`, { download: `trace-${traceId}.json` }),
        ...grafanaLinks(this.config.grafana_url, traceId, run.at, model?.services).map(([words, href]) => link(words, href, away))],
      button('Copy id', traceId), el('code', { textContent: traceId }))));
  }

  details() {
    const { ui, run } = this;
    const { id, part } = run.selected ?? {};
    const model = run.drawn.includes(part) ? part.model : run.drawn.find((one) => one.model?.rows.some((span) => span.id === id))?.model;
    drawDetails(ui.details, model?.rows.find((span) => span.id === id), { model, lines: run.drawn.find((one) => one.model === model)?.lines, onClose: () => {
      run.selected = null;
      this.waterfall.focus(id);
      run.selected = null;
      this.trace();
    } });
  }

  /** Reads the log lines of traces that are complete, once. */
  logs() {
    const { ui, run } = this;
    for (const part of run.file ? [] : run.drawn) {
      if (part.lines || !isRead(part) || !part.model) continue;
      part.lines = [];
      get(`api/logs/${part.traceId}`, { signal: AbortSignal.timeout(5000) }).then(({ lines }) => {
        part.lines = lines.filter((line) => typeof line?.timestamp === 'string').sort((a, b) => atOf(a, part.model) - atOf(b, part.model));
        if (this.run === run) { this.logs(); this.details(); }
      }, () => { /* the service may keep none */ });
    }
    const parts = run.drawn.filter(({ lines }) => lines?.length);
    const key = JSON.stringify(parts.map(({ traceId, lines }) => [traceId, lines.length]));
    ui.logs.hidden = !parts.length;
    if (ui.logs.dataset.key === key) return;
    ui.logs.dataset.key = key;
    ui['logs-title'].textContent = plural(parts.reduce((sum, { lines }) => sum + lines.length, 0), 'log line');
    drawLogLines(ui['log-lines'], parts, (span) => this.waterfall.focus(span));
  }

  /** Lights up a die and its bar. */
  light(part, index) {
    for (const node of this.#lit) node.removeAttribute('data-lit');
    const list = this.ui.parts.children[this.run?.drawn.indexOf(part)];
    this.#lit = list && index !== null ? [...list.querySelectorAll(`.die[data-index="${index}"]`)] : [];
    for (const node of this.#lit) node.setAttribute('data-lit', '');
    this.waterfall.light(part, index);
  }

  #dieAt(event) {
    const node = event.target.closest('.die');
    const at = [...this.ui.parts.children].indexOf(node?.closest('.part'));
    return node ? [this.run.drawn[at], Number(node.dataset.index)] : [null, null];
  }

  problem() {
    const { ui, run: { error, words } } = this;
    ui.problem.hidden = !error;
    if (!error) return ui.problem.replaceChildren();
    const { code, detail, traceId, retryAfter } = error;
    const said = error.words();
    const [what, next] = code === 'batch_failed' && words.batchFailed ? words.batchFailed.split('|') : [said.what, said.next];
    if (ui.problem.dataset.code === code && ui.problem.dataset.trace === traceId && ui.problem.children.length) return;
    Object.assign(ui.problem.dataset, { code, trace: traceId });
    ui.problem.replaceChildren(el('strong', { textContent: what }), el('span', { textContent: retryAfter ? said.next : next }),
      el('small', { textContent: [detail && detail !== code && `${code}: ${detail}`, traceId && `trace ${traceId}`].filter(Boolean).join(' · ') }));
  }
}
