// A run: what was requested, and its parts (when comparing: one after another, the batch, and more batches), each with a slot per die and a trace.
import { ApiError, ask, newTraceId, query } from './api.js';
import { plural } from './text.js';
import { readTrace } from './trace.js';

const NOTES = {
  partial: 'Some spans did not arrive within 10 s.', missing: 'No trace arrived within 10 s.',
  untraced: 'This request was not traced: tracing is off, or it was not sampled.' };

/** Whether all rolls of a batch start together. */
export const atOnce = ({ times, concurrency }) => times > 1 && (concurrency ?? times) >= times;
const howOf = (choices) => choices.times === 1 ? '' : atOnce(choices) ? 'all at once' : `at most ${choices.concurrency} at a time`;

const titleOf = (choices, compared) => [`${choices.times} × ${choices.die}`, compared ? 'compared' : howOf(choices)].filter(Boolean).join(', ');
const batchTitle = (choices) => `One batch, ${howOf(choices) || 'one roll'}`;

/** Whether all is known of a part's trace that will ever be. */
export const isRead = (part) => part.settled || part.complete;

/** The values of a part so far. */
export const valuesOf = (part) => part.values ?? part.slots.filter((slot) => slot.state === 'ok').map((slot) => slot.value);

/** The outcome of a part in a few words. */
export function summary(part) {
  const values = valuesOf(part);
  if (part.slots.length === 1) return String(values[0] ?? part.slots[0].state);
  const total = values.reduce((sum, value) => sum + value, 0);
  return `total ${total}${values.length < part.slots.length ? `, ${values.length} of ${plural(part.slots.length, 'roll')}` : ''}`;
}

/** The outcome of a run that has ended, in a few words. */
export const outcomeOf = (run) => run.error ? run.error.code.replaceAll('_', ' ') : summary(run.parts[1] ?? run.parts[0]);

/** How many rolls of a part were asked for, are at work, and have ended. */
export function progressOf({ slots, model }) {
  const ended = slots.filter(({ state }) => !['rolling', 'unknown'].includes(state)).length;
  return { all: slots.length, ended, atWork: model ? model.rolls.filter(({ open }) => open).length : 0 };
}

/** 1, 2, 4, 8 … up to `times`, and `chosen`. */
export const stepsOf = (times, chosen) => [...new Set([...Array.from({ length: 1 + Math.floor(Math.log2(times)) }, (_, i) => 2 ** i), times, chosen])].sort((a, b) => a - b);

export class Run {
  #abort = new AbortController();

  /** `choices` is the result of Form.read(); `kind`: single, batch, compare, or trace. */
  constructor(choices, kind) {
    Object.assign(this, choices, { kind, words: kind === 'single' ? {} : choices.words, parts: [], at: new Date(), began: performance.now(),
      ms: undefined, error: null, every: kind !== 'compare', selected: null, axis: 0, shown: 1 });
    if (kind === 'compare') this.seed ??= Math.floor(Math.random() * 1e6);
    const batch = (concurrency, more) => this.#part(this.times, this.#batch, { concurrency, ...more });
    if (kind === 'single') this.parts = [this.#part(1, this.#once)];
    if (kind === 'batch') this.parts = [batch(this.concurrency)];
    if (kind === 'compare') {
      const chosen = this.concurrency ?? this.times;
      this.parts = [this.#part(this.times, this.#inTurn, { title: 'One after another', asked: 0 }),
        batch(this.concurrency, { title: batchTitle(this) }),
        ...stepsOf(this.times, chosen).filter((k) => k !== chosen).map((k) => batch(k, { title: batchTitle({ ...this, concurrency: k }) }))];
    }
    this.title = titleOf(kind === 'single' ? { die: this.die, times: 1 } : this, kind === 'compare');
  }

  #part(count, roll, more) {
    return { title: '', roll, slots: Array.from({ length: count }, () => ({ state: 'rolling' })), asked: 1, state: 'waiting', note: '', ...more };
  }

  /** A run of which only the traces are known. `wordsOf(strategy)` are the words of Form.read(). */
  static ofTraces(traceIds, wordsOf) {
    const run = new Run({ die: '', times: 1, concurrency: null, strategy: '', seed: null, words: {} }, 'trace');
    run.parts = traceIds.map((traceId) => Object.assign(run.#part(0, null), { traceId, state: 'done' }));
    Object.assign(run, { wordsOf, title: 'Trace', every: traceIds.length < 2 });
    return run;
  }

  /** A run of a trace that was read from a file. */
  static ofFile(name, answer, wordsOf) {
    const run = Run.ofTraces([answer.traceId], wordsOf);
    run.file = name;
    run.#take(run.parts[0], answer);
    run.ms = run.parts[0].model.end;
    return run;
  }

  get state() { return this.ms === undefined ? 'rolling' : this.error ? 'failed' : 'done'; }
  get elapsed() { return this.ms ?? performance.now() - this.began; }
  /** The parts whose traces are drawn: of a comparison, the first and one other. */
  get drawn() { return this.parts.length > 1 ? [this.parts[0], this.parts[this.shown]] : this.parts; }
  /** Of a comparison, the parts of which each is one batch. */
  get batches() { return this.parts.slice(1).filter((part) => part.model?.rolls.length > 0); }
  get traceIds() { return this.parts.map(({ traceId }) => traceId).filter(Boolean); }

  cancel() { this.#abort.abort(); }

  /** Ends when everything is known. `changed(part)` is called after each change; `lane()` waits for a free connection and returns what frees it. */
  async roll({ watch, lane }, changed) {
    const traces = [];
    for (const part of this.parts) {
      part.traceId = newTraceId();
      part.state = 'rolling';
      let free = () => {};
      const followed = watch.follow(part.traceId, (answer) => { const took = this.#take(part, answer); changed(part); return took; }, true);
      traces.push(this.#follow(part, followed, changed));
      try {
        free = await lane(this.#abort.signal);
        await part.roll.call(this, part, changed);
      } catch (error) {
        this.error = error instanceof ApiError ? error : error.name === 'AbortError' ? new ApiError('cancelled')
          : new ApiError('downstream_invalid', { message: 'the answer lacks a required field' });
        part.traceId = this.error.traceId ||= part.traceId;
        part.failed = true;
        part.untraced = this.error.sampled === false;
        if (this.error.code === 'roll_failed') part.slots = part.slots.map(() => ({ state: 'failed' }));
      }
      free();
      part.state = 'done';
      if (part.untraced) followed.stop();
      else followed.answered(part.traceId);
      changed(part);
      if (part.failed) break;
    }
    for (const part of this.parts) if (part.state === 'waiting') part.slots = part.slots.map(() => ({ state: 'skipped' }));
    this.ms = performance.now() - this.began;
    changed();
    await Promise.all(traces);
  }

  /** Reads the traces of a run that is not of this page. */
  async load({ watch }, changed) {
    const unknown = [];
    await Promise.all(this.parts.map(async (part) => {
      const followed = watch.follow(part.traceId, (answer) => {
        if (!answer) unknown.push(part);
        const took = this.#take(part, answer);
        if (!answer) followed.stop();
        changed(part);
        return took;
      }, false);
      await this.#follow(part, followed, changed);
    }));
    this.ms = Math.max(0, ...this.parts.map(({ model }) => model?.end ?? 0));
    if (unknown.length === this.parts.length) this.error = new ApiError('trace_not_found', { traceId: this.parts[0].traceId });
    for (const part of unknown) part.note = '';
    changed();
  }

  async #follow(part, followed, changed) {
    try {
      part.note = NOTES[await followed.ended] ?? '';
    } catch (error) {
      part.note = error.words?.().what ?? 'The trace could not be read.';
    }
    part.slots = part.slots.map((slot) => (slot.state === 'rolling' ? { state: 'unknown' } : slot));
    part.settled = true;
    changed(part);
  }

  #take(part, answer) {
    if (!answer) return { done: false };
    part.model = readTrace(answer);
    part.complete = answer.complete && part.model.roots.length >= part.asked;
    part.note = part.state === 'rolling' || part.model.open || part.complete ? '' : 'Spans are still arriving…';
    if (this.kind === 'trace') this.#describe(part);
    fillFromTrace(part);
    return { model: part.model, done: part.complete };
  }

  /** What a trace says of its request. */
  #describe(part) {
    const { rolls, roots } = part.model;
    const root = roots[0];
    const asked = new URLSearchParams(root.attributes['url.query']);
    const strategy = rolls.length > 1 ? part.model.rows.map((span) => span.attributes['async.strategy']).find(Boolean) : undefined;
    const number = (name) => (/^\d{1,16}$/.test(asked.get(name) ?? '') ? Number(asked.get(name)) : null);
    const times = Math.max(number('times') ?? rolls.length, rolls.length);
    if (part.slots.length !== times) part.slots = Array.from({ length: times }, () => ({ state: 'rolling' }));
    const one = { die: asked.get('die') ?? '', times, concurrency: roots.length > 1 ? 1 : number('concurrency'), seed: number('seed'), strategy: strategy ?? '' };
    part.concurrency = one.concurrency;
    part.title = this.parts.length < 2 ? '' : roots.length > 1 ? 'One after another' : batchTitle(one);
    if (part !== this.parts[0]) return;
    Object.assign(this, one, { concurrency: this.parts.length > 1 ? null : one.concurrency, words: this.wordsOf(one.strategy), at: new Date(Number(part.model.origin / 1_000_000n)),
      title: this.file ?? (one.die ? titleOf(one, this.parts.length > 1) : root.name) });
    // What ended the request, as its first span tells it.
    this.stopped = root.attributes['error.type'] === 'client_gone';
  }

  async #ask(part, path, parameters) {
    const { answer, sampled } = await ask(`${path}?${query(parameters)}`, { signal: this.#abort.signal, headers: { 'dice-trace-id': part.traceId } });
    part.traceId = answer.trace_id ?? part.traceId;
    part.untraced = !sampled;
    return answer;
  }

  async #roll(part, parameters) {
    const answer = await this.#ask(part, 'roll', { die: this.die, ...parameters });
    if (typeof answer.roll !== 'number') throw new TypeError('no roll');
    return { state: 'ok', value: answer.roll };
  }

  async #once(part) {
    part.slots = [await this.#roll(part, {})];
  }

  async #batch(part) {
    const { die, times, strategy, seed } = this;
    const answer = await this.#ask(part, 'roll-async', { die, times, strategy, concurrency: part.concurrency, seed });
    const failed = new Set((answer.failed ?? []).map(({ index }) => index));
    part.values = [...answer.rolls];
    // If rolls were cancelled, only the trace shows which dice the values belong to.
    if (part.values.length + failed.size !== times) return part.slots.forEach((slot, i) => { if (failed.has(i)) part.slots[i] = { state: 'failed' }; });
    const values = part.values.values();
    part.slots = part.slots.map((_, i) => failed.has(i) ? { state: 'failed' } : { state: 'ok', value: values.next().value });
  }

  async #inTurn(part, changed) {
    for (let index = 0; index < this.times && !part.slots.some(({ state }) => state === this.words.endsOn); index++) {
      try {
        part.slots[index] = await this.#roll(part, { seed: this.seed, index });
      } catch (error) {
        if (error.code !== 'roll_failed') throw error;
        part.slots[index] = { state: 'failed' };
      }
      part.asked = index + 1;
      changed(part);
    }
    part.slots = part.slots.map((slot) => (slot.state === 'rolling' ? { state: 'skipped' } : slot));
  }
}

/** Adds the results that only the trace has, or has first. */
function fillFromTrace(part) {
  for (const span of part.model.rolls) {
    const index = part.slots.length === 1 ? 0 : span.rollIndex;
    if (!span.open && part.slots[index]?.state === 'rolling') part.slots[index] = { state: span.state, value: span.result };
  }
}
