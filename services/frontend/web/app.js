import { ApiError, get, sleep, watchTrace } from './api.js';
import { die, distribution, el, statistics } from './dice.js';
import { figures, readTrace } from './trace.js';
import { drawDetails, drawWaterfall, duration } from './waterfall.js';

const $ = (id) => document.getElementById(id);
const show = (id, visible) => { $(id).hidden = !visible; };
const say = (text) => { $('announce').textContent = text; };
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
const slots = (n, state) => Array.from({ length: n }, () => ({ state }));
const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');

const runs = [];
let shown = null;
let config = { version: '', grafana_url: '', max_async_rolls: 20 };
let dice = [];
let cancelRoll = null;
let lookingForDice = false;

// --- what to roll

function readForm() {
  const n = $('async').checked ? $('times').valueAsNumber : 10;
  return { die: $('die').value, async: $('async').checked, times: n, strategy: $('strategy').value,
    concurrency: $('async').checked && $('concurrency').value ? $('concurrency').valueAsNumber : null };
}

function updateForm() {
  const { async, times } = readForm();
  show('async-options', async);
  $('times').disabled = $('concurrency').disabled = $('strategy').disabled = !async;
  const n = times >= 1 && times <= config.max_async_rolls ? times : '';
  $('roll').textContent = async ? `Roll ${n} at once`.replace('  ', ' ') : 'Roll once';
  $('compare').textContent = `Compare ${n} rolls`.replace('  ', ' ');
  $('concurrency').max = n || config.max_async_rolls;
  $('roll').disabled = $('compare').disabled = Boolean(cancelRoll) || !dice.length;
  show('cancel', cancelRoll);
}

const query = (request) => new URLSearchParams(Object.entries(request).filter(([, v]) => v !== null));

// --- rolling: a run has parts (two when comparing), each with slots for the dice and a trace

async function rollOne(run, part, headers) {
  const answer = await get(`roll?${query({ die: run.die })}`, { signal: run.signal, headers });
  part.traceId = answer.trace_id;
  if (typeof answer.roll !== 'number') throw new TypeError('no roll');
  return { state: 'ok', value: answer.roll };
}

async function rollSingle(run, part) {
  part.slots = [await rollOne(run, part)];
}

async function rollBatch(run, part) {
  const { die: name, times, strategy, concurrency } = run;
  const answer = await get(`roll-async?${query({ die: name, times, strategy, concurrency })}`, { signal: run.signal });
  part.traceId = answer.trace_id;
  const failed = new Set((answer.failed ?? []).map(({ index }) => index));
  const values = answer.rolls.values();
  part.slots = part.slots.map((_, i) => (failed.has(i) ? { state: 'failed' } : { state: 'ok', value: values.next().value }));
}

async function rollInTurn(run, part) {
  part.traceId = hex(16);
  for (let i = 0; i < run.times; i++) {
    try {
      part.slots[i] = await rollOne(run, part, { traceparent: `00-${part.traceId}-${hex(8)}-01` });
    } catch (error) {
      if (error.code !== 'roll_failed') throw error;
      part.slots[i] = { state: 'failed' };
    }
    part.asked = i + 1;
    if (shown === run) drawParts(run);
  }
}

function newRun(compare) {
  const form = readForm();
  const batch = { title: compare ? 'At once' : '', slots: slots(form.async || compare ? form.times : 1, 'rolling'), roll: rollBatch, asked: 1, spans: form.times + 5 };
  const parts = compare ? [{ title: 'One after another', slots: slots(form.times, 'rolling'), roll: rollInTurn, asked: 0, spans: form.times * 5 }, batch] : [batch];
  if (!compare && !form.async) Object.assign(batch, { roll: rollSingle, spans: 5 });
  const kind = compare ? 'compare' : form.async ? 'batch' : 'single';
  return { ...form, kind, parts, at: new Date(), began: performance.now(), error: null, every: !compare, selected: null,
    title: { single: `1 × ${form.die}`, batch: `${form.times} × ${form.die}, at once`, compare: `${form.times} × ${form.die}, compared` }[kind] };
}

async function start(compare) {
  if (cancelRoll || !dice.length || !$('controls').reportValidity()) return;
  const focused = document.activeElement;
  const run = newRun(compare);
  const abort = new AbortController();
  run.signal = abort.signal;
  show('service-status', $('service-status').dataset.lost);
  cancelRoll = () => abort.abort();
  runs.unshift(run);
  runs.length = Math.min(runs.length, 20);
  view(run);
  updateForm();
  say(`Rolling ${plural(run.parts[0].slots.length, 'die').replace('dies', 'dice')}`);
  const clock = setInterval(() => drawElapsed(run), 100);
  for (const part of run.parts) {
    const began = performance.now();
    try {
      await part.roll(run, part);
    } catch (error) {
      run.error = error instanceof ApiError ? error : new ApiError('downstream_invalid', { message: 'the answer lacks what it should hold' });
      part.traceId = error.traceId || part.traceId;
      part.failed = true;
      part.slots = part.slots.map((slot) => (slot.state !== 'rolling' ? slot : { state: error.code === 'cancelled' ? 'cancelled' : error.code === 'roll_failed' ? 'failed' : 'unknown' }));
    }
    part.ms = performance.now() - began;
    if (part.traceId) part.watch = watch(run, part);
    if (part.failed && run.error.code !== 'batch_failed') break;
  }
  clearInterval(clock);
  run.ms = performance.now() - run.began;
  for (const part of run.parts) part.slots = part.slots.map((slot) => (slot.state === 'rolling' ? { state: 'cancelled' } : slot));
  cancelRoll = null;
  updateForm();
  if (document.activeElement === document.body) focused?.focus();
  if (shown === run) view(run);
  drawHistory();
  say(run.error ? '' : run.parts.map((part) => `${part.title} ${summary(part)}`).join('. '));
  if (run.error?.code === 'network') findDice();
}

async function watch(run, part) {
  part.traceNote = 'Waiting for the trace…';
  // A request's own span can arrive after its answer: wait for as many of them as were asked for.
  const enough = (answer) => {
    part.model = readTrace(answer);
    const requests = part.model.rows.filter((s) => s.service === 'frontend' && s.kind === 'server').length;
    return (answer.complete && requests >= part.asked) || part.model.rows.length >= part.spans;
  };
  try {
    for await (const { answer, done } of watchTrace(part.traceId, enough)) {
      part.traceNote = done ? '' : answer ? 'Spans are still arriving…' : part.traceNote;
      part.complete = done;
      if (part.model) fillFromTrace(part);
      if (shown === run) drawResult(run);
    }
    if (!part.complete) part.traceNote = part.model ? 'Some spans have not arrived within 10 s.' : 'No trace arrived within 10 s. Tracing may be off.';
  } catch (error) {
    part.traceNote = error.words?.().what ?? 'The trace could not be read.';
  }
  if (shown === run) drawResult(run);
}

/** A failed request answers without its rolls: the trace knows them. */
function fillFromTrace(part) {
  for (const span of part.model.rolls) {
    const index = span.rollIndex ?? (part.slots.length === 1 ? 0 : -1);
    if (part.slots[index]?.state === 'unknown') part.slots[index] = { state: span.state, value: span.result };
  }
}

// --- drawing

const values = (part) => part.slots.filter((slot) => slot.state === 'ok').map((slot) => slot.value);

function summary(part) {
  const got = values(part);
  if (part.slots.length === 1) return got.length ? String(got[0]) : part.slots[0].state;
  return `total ${statistics(got).total}${got.length < part.slots.length ? `, ${got.length} of ${part.slots.length} rolled` : ''}`;
}

function drawElapsed(run) {
  if (shown === run) $('elapsed').textContent = duration(run.ms ?? performance.now() - run.began);
}

function drawParts(run) {
  $('parts').replaceChildren(...run.parts.map((part) => {
    const node = el('div', { className: 'part' });
    if (part.title) node.append(el('h3', { textContent: part.title }));
    node.append(el('ul', { className: 'dice', ariaLabel: 'Dice' }, ...part.slots.map(die)));
    const got = values(part);
    const settled = part.slots.every((slot) => slot.state !== 'rolling');
    if (part.slots.length > 1 && got.length && settled) {
      const { total, mean, min, max } = statistics(got);
      const facts = { total, mean: mean.toFixed(2), min, max, rolled: `${got.length} of ${part.slots.length}` };
      node.append(el('div', { className: 'statistics' }, el('dl', {}, ...Object.entries(facts).map(([key, v]) =>
        el('div', { data: { stat: key } }, el('dt', { textContent: key }), el('dd', { textContent: v })))), distribution(got)));
    }
    return node;
  }));
}

function figure(key, label, ms, share, note) {
  const node = el('div', { data: { figure: key } }, el('dt', { textContent: label }), el('dd', { className: 'big', textContent: typeof ms === 'number' ? duration(ms) : ms }));
  if (share !== null) {
    const gauge = el('i');
    gauge.style.width = `max(2px, ${share * 100}%)`;
    node.append(el('dd', { className: 'gauge' }, gauge));
  }
  node.append(el('dd', { className: 'hint', textContent: note }));
  return node;
}

function drawFigures(run) {
  const part = run.parts.at(-1);
  const f = part.model && figures(part.model);
  const first = run.kind === 'compare' && run.parts[0].model && figures(run.parts[0].model);
  let list = [];
  let verdict = '';
  if (run.kind === 'compare' && !run.parts.some((p) => p.failed) && run.ms) {
    const [turn, together] = [first ? first.request : run.parts[0].ms, f ? f.request : part.ms];
    const ratio = turn / together;
    const settled = run.parts.every((p) => p.complete);
    verdict = ratio >= 1.05 ? `At once was ${ratio.toFixed(1)} times as fast: ${duration(together)} instead of ${duration(turn)}.`
      : `At once was not faster: ${duration(together)} against ${duration(turn)}.`;
    if (!settled) verdict += ' (By the spans that are here so far.)';
    list = [figure('sequential', 'One after another', turn, 1, `${plural(run.times, 'request')}, first start to last end`),
      figure('together', 'At once', together, together / turn, 'one request, start to end'),
      figure('max-at-once', 'Most at once', String(f ? f.most : '–'), null, first ? `one after another: ${first.most}` : 'rolls at work together')];
    verdict += ' Each run draws its own delays.';
  } else if (run.kind === 'compare' && run.error && run.ms) {
    verdict = 'There is nothing to compare: one of the two did not finish.';
  } else if (run.kind === 'single' && f?.count) {
    list = [figure('roll', 'The roll', f.sum, f.sum / f.request, 'simulated work, then the die falls'),
      figure('request', 'The whole request', f.request, 1, 'from the page’s service and back')];
  } else if (run.kind === 'batch' && f?.count) {
    const scale = Math.max(f.sum, f.together) || 1;
    list = [figure('sequential', 'One after another', f.sum, f.sum / scale, `the ${plural(f.count, 'roll')} added up${part.model.rolls.some((s) => s.state === 'cancelled') ? ', stopped ones as far as they came' : ''}`),
      figure('together', 'Together', f.together, f.together / scale, 'first roll’s start to last roll’s end'),
      figure('max-at-once', 'Most at once', String(f.most), null, 'rolls at work at the same moment')];
    if (!run.error && f.count > 1) verdict = `${f.longest.name} took longest, ${duration(f.longestMs)}. Added up the rolls took ${(f.sum / f.together).toFixed(1)} times as long as they did together.`;
  }
  $('figures').replaceChildren(...list);
  show('figures', list.length);
  $('verdict').textContent = verdict;
  show('verdict', verdict);
}

function grafanaLinks(run, traceId) {
  let base;
  try { base = new URL(config.grafana_url); } catch { return []; }
  if (!/^https?:$/.test(base.protocol)) return [];
  const range = { from: String(run.at.getTime() - 300_000), to: String(run.at.getTime() + 300_000) };
  const explore = (uid, target) => `${base.href.replace(/\/+$/, '')}/explore?${new URLSearchParams({ schemaVersion: 1, orgId: 1,
    panes: JSON.stringify({ dice: { datasource: uid, queries: [{ refId: 'A', datasource: { type: uid, uid }, ...target }], range } }) })}`;
  const link = (text, href) => el('a', { textContent: text, href, target: '_blank', rel: 'noopener noreferrer' });
  return [link('Trace in Grafana', explore('tempo', { queryType: 'traceql', query: traceId })),
    link('Logs in Grafana', explore('loki', { expr: `{service_name=~"frontend|dice-roller|die-service"} | json | trace_id="${traceId}"` }))];
}

function drawTrace(run) {
  const traces = run.parts.filter((part) => part.model?.rows.length);
  show('trace', run.parts.some((part) => part.traceId));
  $('trace-status').textContent = [...new Set(run.parts.map((part) => part.traceNote).filter(Boolean))].join(' ');
  $('trace').dataset.complete = run.ms !== undefined && run.parts.every((part) => part.complete);
  $('trace-links').replaceChildren(...run.parts.filter((part) => part.traceId).map(({ title, traceId }) =>
    el('li', {}, title, ...grafanaLinks(run, traceId), el('code', { textContent: traceId }))));
  show('every-label', run.kind === 'compare' && traces.length);
  $('every').checked = run.every;
  show('trace-view', traces.length);
  if (!traces.length) return;
  const onSelect = (span, passing = false) => {
    if (!passing) run.selected = span;
    drawDetails($('details'), span ?? run.selected);
  };
  drawWaterfall($('waterfall'), traces, { every: run.every, selected: run.selected?.id, onSelect });
  drawDetails($('details'), run.selected);
}

function drawProblem(run) {
  show('problem', run.error);
  if (!run.error) return $('problem').replaceChildren();
  const { what, next } = run.error.words();
  const { code, detail, traceId } = run.error;
  $('problem').dataset.code = code;
  $('problem').replaceChildren(el('strong', { textContent: what }), el('span', { textContent: next }),
    el('small', { textContent: [detail && `${code}: ${detail}`, traceId && `trace ${traceId}`].filter(Boolean).join(' · ') }));
}

function drawResult(run) {
  drawParts(run);
  drawFigures(run);
  drawTrace(run);
}

function drawHistory() {
  const held = runs.find((run) => run.button === document.activeElement);
  show('history', runs.length);
  $('history-list').replaceChildren(...runs.map((run) => {
    const outcome = run.ms === undefined ? 'rolling…' : run.error ? `✕ ${run.error.code.replaceAll('_', ' ')}` : summary(run.parts.at(-1));
    const button = el('button', { type: 'button', onclick: () => view(run), ariaCurrent: run === shown ? 'true' : null, data: { run: run.kind } },
      el('span', { textContent: run.title }), el('time', { textContent: run.at.toLocaleTimeString(), dateTime: run.at.toISOString() }),
      el('b', { textContent: outcome }), el('span', { textContent: run.ms === undefined ? '' : duration(run.ms) }));
    run.button = button;
    return el('li', {}, button);
  }));
  held?.button.focus();
}

function view(run) {
  shown = run;
  show('empty', false);
  show('run', true);
  $('run').dataset.state = run.ms === undefined ? 'rolling' : run.error ? 'failed' : 'done';
  $('run-title').textContent = run.title;
  drawElapsed(run);
  drawProblem(run);
  drawResult(run);
  drawHistory();
}

// --- the service comes and goes

async function findDice() {
  if (lookingForDice) return;
  lookingForDice = true;
  for (let pause = 500, lost = false; ; pause = Math.min(pause * 2, 3000)) {
    try {
      const { identifiers } = await get('dice', { signal: AbortSignal.timeout(5000) });
      if (!identifiers?.length) throw new ApiError('not_ready', { message: 'the list of dice is empty' });
      const chosen = $('die').value;
      dice = identifiers;
      $('die').replaceChildren(...dice.map((name) => el('option', { value: name, textContent: name, selected: name === chosen })));
      $('die').disabled = false;
      if (lost || $('service-status').dataset.lost) $('service-status').textContent = 'The service is back.';
      delete $('service-status').dataset.lost;
      break;
    } catch (error) {
      lost = true;
      const what = error instanceof ApiError ? error.words().what : 'The answer could not be read.';
      $('service-status').dataset.lost = 'true';
      $('service-status').textContent = `${dice.length ? '' : 'No list of dice. '}${what} Trying again by itself.`;
      show('service-status', true);
      await sleep(pause);
    }
  }
  lookingForDice = false;
  updateForm();
  get('api/config', { signal: AbortSignal.timeout(5000) }).then((answer) => {
    config = { ...config, ...answer };
    $('times').max = config.max_async_rolls;
    $('version').textContent = config.version && `version ${config.version}`;
    if (shown) drawTrace(shown);
  }, () => { /* the page works without it */ });
}

$('controls').addEventListener('input', updateForm);
$('controls').addEventListener('submit', (event) => { event.preventDefault(); start(false); });
$('compare').addEventListener('click', () => start(true));
$('cancel').addEventListener('click', () => cancelRoll?.());
$('every').addEventListener('change', (event) => { shown.every = event.target.checked; drawTrace(shown); });
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') cancelRoll?.(); });
updateForm();
findDice();
