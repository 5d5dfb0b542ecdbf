// Reads traces until they are complete: one request at a time for all of them, so that five connections stay free for rolls.
import { ApiError, get, sleep } from './api.js';

const LIVE = 100;       // ms between two readings of a trace that is running
const PATIENCE = 10_000;  // ms that missing spans may take after the last one that was seen running

export class Watch {
  #followed = new Set();
  #running = false;
  #wake = () => {};

  /**
   * Calls `take(answer)`, which returns the model and whether it is complete: {model, done}, with each answer; null: no span is known yet.
   * `expected`: a request is under way, so spans will come until `answered()`. `ended` resolves to '' (complete), 'partial', 'missing' or 'untraced';
   * it rejects if the trace cannot be read.
   */
  follow(id, take, expected) {
    // A request that is about to be sent has no span yet.
    const entry = { id, take, expected, due: expected ? performance.now() + 50 : 0, pause: 50, deadline: expected ? Infinity : performance.now() + PATIENCE, found: false };
    const ended = new Promise((resolve, reject) => { Object.assign(entry, { resolve, reject }); });
    this.#followed.add(entry);
    this.#run();
    const again = () => { entry.due = 0; this.#wake(); };
    return {
      ended,
      answered: (trueId = entry.id) => {
        Object.assign(entry, { id: trueId, expected: false, pause: 25, deadline: performance.now() + PATIENCE });
        again();
      },
      stop: () => this.#end(entry, 'untraced'),
    };
  }

  #end(entry, how) {
    this.#followed.delete(entry);
    entry.resolve(how);
  }

  #fail(entry, error) {
    this.#followed.delete(entry);
    entry.reject(error);
  }

  async #run() {
    if (this.#running) return this.#wake();
    this.#running = true;
    while (this.#followed.size) {
      const entry = [...this.#followed].reduce((a, b) => (b.due < a.due ? b : a));
      const wait = entry.due - performance.now();
      if (wait > 0) await Promise.race([sleep(wait), new Promise((done) => { this.#wake = done; })]);
      else await this.#read(entry);
    }
    this.#running = false;
  }

  async #read(entry) {
    const began = performance.now();
    let answer = null;
    try {
      answer = await get(`api/traces/${entry.id}`, { signal: AbortSignal.timeout(5000) });
    } catch (error) {
      if (!(error instanceof ApiError) || ['malformed_request', 'invalid_parameter', 'method_not_allowed'].includes(error.code)) return this.#fail(entry, error);
    }
    if (!this.#followed.has(entry)) return;
    let taken;
    try { taken = entry.take(answer); } catch (error) { return this.#fail(entry, error); }  // not a trace
    const { model, done } = taken;
    const now = performance.now();
    entry.found ||= answer !== null;
    if (done && !entry.expected) return this.#end(entry, '');
    if (model?.open) Object.assign(entry, { pause: LIVE, deadline: Math.max(entry.deadline, now + PATIENCE) });
    else if (!entry.expected) entry.pause = Math.min(entry.pause * 2, 1000);
    if (now + entry.pause > entry.deadline) return this.#end(entry, entry.found ? 'partial' : 'missing');
    // A large trace takes long to read and draw: leave as much time between.
    entry.due = now + Math.max(entry.expected || model?.open ? LIVE : entry.pause, now - began);
  }
}
