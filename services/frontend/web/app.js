// The page: creates its parts and connects them.
import { readAddress, writeAddress } from './address.js';
import { Form } from './form.js';
import { Health } from './health.js';
import { History } from './history.js';
import { outcomeOf, Run, summary } from './run.js';
import { plural } from './text.js';
import { parseTraceFile } from './trace.js';
import { Watch } from './watch.js';

const node = (id) => document.getElementById(id);
const CONNECTIONS = 5;  // of the six that a browser has per host (HTTP/1.1): one stays free to read traces
const RUNS = 50;
const THEMES = ['system', 'light', 'dark'];

/** Lets `free` requests run at the same time; further ones wait their turn. */
class Lanes {
  #waiting = [];
  constructor(free) { this.free = free; }

  /** Resolves to a function that gives the lane back; rejects if `signal` is aborted first. */
  enter(signal) {
    return new Promise((resolve, reject) => {
      const turn = () => {
        if (signal.aborted) return reject(signal.reason);
        this.free -= 1;
        resolve(() => { this.free += 1; this.#next(); });
      };
      signal.addEventListener('abort', () => reject(signal.reason));
      this.#waiting.push(turn);
      this.#next();
    });
  }

  #next() {
    if (this.free > 0) this.#waiting.shift()?.();
  }
}

/** Null where the browser allows none. */
function storage() {
  try { return localStorage; } catch { return null; }
}

const page = { config: { grafana_url: '' }, runs: new Map(), shown: null, drawing: null, loading: null, panel: false };
const watch = new Watch();
const lanes = new Lanes(CONNECTIONS);
const tools = { watch, lane: (signal) => lanes.enter(signal) };

/** The link to a run: the form as it was then, and all its traces, in the order of its parts. */
const addressOf = (run) => `./${writeAddress(run.fields ?? {}, run.file ? [] : run.traceIds)}`;
const form = new Form(node('controls'), roll, () => keepAddress());
const history = new History(node('history'), { addressOf, storage: storage(), onChoose: ({ run, address }) => {
  if (run) go(run);
  else { window.history.pushState(null, '', address); follow(); }
} });
const health = new Health(node('service-status'), (names) => {
  form.setDice(names);
  if (page.shown && !page.drawing) show(page.shown);  // what draws it could not be loaded before
}, (config) => {
  Object.assign(page.config, config);
  if (config.max_async_rolls) form.setMaximum(config.max_async_rolls);
  node('version').textContent = config.version && `version ${config.version}`;
  page.drawing?.trace();
  if (config.faults_enabled) openPanel();
});

/** Loads what draws runs, once: with the first sign that it will be needed, so that the page itself is small. */
async function loadDrawing() {
  try {
    await (page.loading ??= import('./drawing.js').then(({ Drawing }) => {
      page.drawing = new Drawing(node('stage'), page.config, { addressOf, onCancel: (run) => run.cancel() });
      requestAnimationFrame(function frame() {
        page.drawing.tick();
        requestAnimationFrame(frame);
      });
    }));
  } catch {
    page.loading = null;
    health.find();
  }
}

/** The form's state and the traces shown, as the address of this moment in the browser's history. */
function keepAddress() {
  const run = page.shown;
  window.history.replaceState(null, '', `./${writeAddress(form.fields(), run && !run.file ? run.traceIds : [])}`);
}

async function show(run) {
  page.shown = run;
  history.draw(run);
  title();
  if (run) await loadDrawing();
  if (page.shown === run) page.drawing?.show(run);
}

function title() {
  const run = page.shown;
  const told = run && (run.state === 'rolling' ? `Rolling ${run.title}` : `${run.title}: ${outcomeOf(run)}`);
  document.title = [told, 'Dice'].filter(Boolean).join(' · ');
}

/** Shows a run under an address of its own. The address of the one before is again as it was when that was shown. */
function go(run) {
  if (page.shown === run) return;
  if (page.shown) window.history.replaceState(null, '', addressOf(page.shown));
  window.history.pushState(null, '', addressOf(run));
  show(run);
}

/** Shows what the address says. */
function follow() {
  const { fields, traces } = readAddress(location.search);
  if (Object.keys(fields).length) form.fill(fields);
  if (!traces.length) return show(null);
  show(page.runs.get(traces[0]) ?? openTraces(traces, fields));
}

/** Runs that need not be read again to be shown. */
function remember(run) {
  page.runs.set(run.traceIds[0], run);
  if (page.runs.size > RUNS) page.runs.delete(page.runs.keys().next().value);
}

function changes(run) {
  return () => {
    if (page.shown !== run) return;
    if (page.drawing?.run === run) page.drawing.all();
    title();
  };
}

function openTraces(traceIds, fields) {
  const run = Object.assign(Run.ofTraces(traceIds, (strategy) => form.wordsOf(strategy)), { fields });
  remember(run);
  run.load(tools, changes(run)).then(() => history.draw(page.shown));
  return run;
}

async function roll(compare) {
  if (!form.ready()) return;
  const choices = form.read();
  const run = new Run(choices, compare ? 'compare' : choices.async ? 'batch' : 'single');
  run.fields = form.fields();
  health.clear();
  history.add(run);
  const changed = changes(run);
  const known = { traces: '', done: false };
  const ended = run.roll(tools, () => {
    changed();
    if (String(run.traceIds) !== known.traces && page.shown === run) keepAddress();
    known.traces = String(run.traceIds);
    if (run.state === 'rolling' || known.done) return;
    known.done = true;
    history.draw(page.shown);
    history.save();
    node('announce').textContent = run.error ? '' : run.parts.slice(0, 2).map((part) => `${part.title} ${summary(part)}`.trim()).join('. ');
    if (run.error?.code === 'network') health.find();
  });
  remember(run);
  go(run);
  const stage = node('stage');
  if (stage.getBoundingClientRect().top > innerHeight / 2) stage.scrollIntoView();  // on a phone it is below the form
  node('announce').textContent = `Rolling ${plural(run.parts[0].slots.length, 'die', 'dice')}`;
  await ended;
  history.draw(page.shown);
  history.save();
}

async function openFile(file) {
  if (!file) return;
  try {
    const run = Run.ofFile(file.name, parseTraceFile(await file.text()), (strategy) => form.wordsOf(strategy));
    show(run);
    node('announce').textContent = `Trace of ${file.name}`;
  } catch {
    node('service-status').textContent = `${file.name} is not a trace in OTLP JSON.`;
    node('service-status').hidden = false;
  }
}

/** Loaded only where it can be used. */
async function openPanel() {
  if (page.panel) return;
  page.panel = true;
  const host = node('load-panel');
  host.hidden = false;
  const { LoadPanel } = await import('./load.js');
  new LoadPanel(host, { dice: () => form.read(), max: page.config.max_async_rolls,
    openTrace: (traceId) => {
      go(page.runs.get(traceId) ?? openTraces([traceId], form.fields()));
      node('stage').scrollIntoView();
    } });
}

function setTheme(theme) {
  const [known, button] = [THEMES.includes(theme) ? theme : THEMES[0], node('theme')];
  document.documentElement.dataset.theme = known;
  button.textContent = `Theme: ${known}`;
  button.onclick = () => {
    setTheme(THEMES[(THEMES.indexOf(known) + 1) % THEMES.length]);
    storage()?.setItem('dice.theme', document.documentElement.dataset.theme);
  };
}

document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && page.shown?.state === 'rolling') page.shown.cancel(); });
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => { event.preventDefault(); openFile(event.dataTransfer.files[0]); });
node('file').addEventListener('change', ({ target }) => { openFile(target.files[0]); target.value = ''; });
window.addEventListener('popstate', follow);
for (const sign of ['pointerover', 'focusin']) node('controls').addEventListener(sign, loadDrawing, { once: true });
setTheme(storage()?.getItem('dice.theme'));
follow();
history.draw(null);
health.find();
