// A run: what was requested, and its parts (two when comparing), each with a slot per die and a trace.
import { ApiError, get, watchTrace } from './api.js';
import { readTrace } from './trace.js';

const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');
const query = (parameters) => new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== null));
const replaced = (slots, state, by) => slots.map((slot) => (slot.state === state ? { state: by } : slot));

/** Whether all rolls of a batch start together. */
export const atOnce = ({ times, concurrency }) => times > 1 && (concurrency ?? times) >= times;

/** The values of a part so far. */
export const valuesOf = (part) => part.values ?? part.slots.filter((slot) => slot.state === 'ok').map((slot) => slot.value);

/** The outcome of a part in a few words. */
export function summary(part) {
  const values = valuesOf(part);
  if (part.slots.length === 1) return String(values[0] ?? part.slots[0].state);
  const total = values.reduce((sum, value) => sum + value, 0);
  return `total ${total}${values.length < part.slots.length ? `, ${values.length} of ${part.slots.length} rolls` : ''}`;
}

export class Run {
  #abort = new AbortController();

  /** `choices` is the result of Form.read(). */
  constructor(choices, compare) {
    const { die, async, times, concurrency } = choices;
    const kind = compare ? 'compare' : async ? 'batch' : 'single';
    const how = atOnce(choices) ? 'all at once' : concurrency && times > 1 ? `${concurrency} at a time` : '';
    const part = (title, count, roll) => ({ title, roll, slots: Array.from({ length: count }, () => ({ state: 'rolling' })), asked: roll === this.#inTurn ? 0 : 1 });
    const parts = {
      single: () => [part('', 1, this.#once)],
      batch: () => [part('', times, this.#batch)],
      compare: () => [part('One after another', times, this.#inTurn), part(how ? how[0].toUpperCase() + how.slice(1) : 'As a batch', times, this.#batch)],
    }[kind]();
    const title = { single: `1 × ${die}`, batch: `${times} × ${die}${how && `, ${how}`}`, compare: `${times} × ${die}, compared` }[kind];
    Object.assign(this, choices, { words: kind === 'single' ? {} : choices.words, kind, how, parts, title, at: new Date(), began: performance.now(),
      ms: undefined, error: null, every: !compare, selected: null });
  }

  get state() { return this.ms === undefined ? 'rolling' : this.error ? 'failed' : 'done'; }
  get elapsed() { return this.ms ?? performance.now() - this.began; }

  cancel() { this.#abort.abort(); }

  /** Ends with the last response. `changed.dice()` and `changed.trace()` are called when those change, the latter also after the end. */
  async roll(changed) {
    for (const part of this.parts) {
      const began = performance.now();
      try {
        await part.roll.call(this, part, changed);
      } catch (error) {
        this.error = error instanceof ApiError ? error : new ApiError('downstream_invalid', { message: 'the answer lacks a required field' });
        part.traceId = error.traceId || part.traceId;
        part.failed = true;
        part.slots = replaced(part.slots, 'rolling', { cancelled: 'cancelled', roll_failed: 'failed' }[error.code] ?? 'unknown');
      }
      part.ms = performance.now() - began;
      if (part.traceId) this.#watch(part, changed);
      if (part.failed) break;
    }
    this.ms = performance.now() - this.began;
    for (const part of this.parts) part.slots = replaced(part.slots, 'rolling', 'cancelled');
  }

  async #ask(part, headers) {
    const answer = await get(`roll?${query({ die: this.die })}`, { signal: this.#abort.signal, headers });
    part.traceId = answer.trace_id;
    if (typeof answer.roll !== 'number') throw new TypeError('no roll');
    return { state: 'ok', value: answer.roll };
  }

  async #once(part) {
    part.slots = [await this.#ask(part)];
  }

  async #batch(part) {
    const { die, times, strategy, concurrency } = this;
    const answer = await get(`roll-async?${query({ die, times, strategy, concurrency })}`, { signal: this.#abort.signal });
    part.traceId = answer.trace_id;
    const failed = new Set((answer.failed ?? []).map(({ index }) => index));
    part.values = [...answer.rolls];
    // If rolls were cancelled, only the trace shows which dice the values belong to.
    const all = part.values.length + failed.size === times;
    const values = part.values.values();
    part.slots = part.slots.map((_, i) => failed.has(i) ? { state: 'failed' } : all ? { state: 'ok', value: values.next().value } : { state: 'unknown' });
  }

  async #inTurn(part, changed) {
    part.traceId = hex(16);
    for (let i = 0; i < this.times && !part.slots.some(({ state }) => state === this.words.endsOn); i++) {
      try {
        part.slots[i] = await this.#ask(part, { traceparent: `00-${part.traceId}-${hex(8)}-01` });
      } catch (error) {
        if (error.code !== 'roll_failed') throw error;
        part.slots[i] = { state: 'failed' };
      }
      part.asked = i + 1;
      changed.dice();
    }
    part.slots = replaced(part.slots, 'rolling', 'skipped');
  }

  async #watch(part, changed) {
    part.traceNote = 'Waiting for the trace…';
    // The span of a request, which is a root, may arrive after its response.
    const isComplete = (answer) => {
      part.model = readTrace(answer);
      return answer.complete && part.model.roots.length >= part.asked;
    };
    try {
      for await (const { answer, done } of watchTrace(part.traceId, isComplete)) {
        part.traceNote = done ? '' : answer ? 'Spans are still arriving…' : part.traceNote;
        part.complete = done;
        if (part.model) fillFromTrace(part);
        changed.trace();
      }
      if (!part.complete) part.traceNote = part.model ? 'Some spans did not arrive within 10 s.' : 'No trace arrived within 10 s. Tracing may be off.';
    } catch (error) {
      part.traceNote = error.words?.().what ?? 'The trace could not be read.';
    }
    changed.trace();
  }
}

/** Adds the results that are only in the trace. */
function fillFromTrace(part) {
  for (const span of part.model.rolls) {
    const index = span.rollIndex ?? (part.slots.length === 1 ? 0 : -1);
    if (part.slots[index]?.state === 'unknown') part.slots[index] = { state: span.state, value: span.result };
  }
}
