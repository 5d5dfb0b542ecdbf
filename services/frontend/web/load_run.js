// A load: users who each send one request after the other, and what came of it, second by second.
import { newTraceId, sleep } from './api.js';

const PAUSE = 50; // ms, at least, between the starts of two requests of a user
const MAX_POINTS = 300;
// Of http_request_duration_seconds, so that the services' histogram and this one can be compared. In ms.
const BOUNDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
const FINE = Array.from({ length: 66 }, (_, i) => 1.2 ** i);

const count = (map, key, by = 1) => map.set(key, (map.get(key) ?? 0) + by);

export class Histogram {
  constructor(bounds) {
    Object.assign(this, { bounds, counts: new Uint32Array(bounds.length + 1), total: 0, max: 0 });
  }

  add(value) {
    const { bounds } = this;
    const bucket = bounds.findIndex((bound) => value <= bound);
    this.counts[bucket < 0 ? bounds.length : bucket]++;
    this.total++;
    this.max = Math.max(this.max, value);
  }

  merge(other) {
    other.counts.forEach((n, i) => { this.counts[i] += n; });
    this.total += other.total;
    this.max = Math.max(this.max, other.max);
  }

  /** {value, from, to}: as Prometheus' histogram_quantile, but never above the largest value, and its bucket; null without values. */
  quantile(q) {
    const { bounds, counts, total } = this;
    for (let i = 0, below = 0; i < counts.length; below += counts[i++]) {
      if (!counts[i] || below + counts[i] < q * total) continue;
      const from = bounds[i - 1] ?? 0;
      const to = bounds[i] ?? Infinity;
      return { from, to, value: to === Infinity ? from : Math.min(this.max, from + (to - from) * ((q * total - below) / counts[i])) };
    }
    return null;
  }
}

/** What happened in one second, or in several after merging. `rolls` is the most that were in flight. */
class Point {
  constructor(rolls, faulty) {
    Object.assign(this, { ms: 0, requests: 0, errors: new Map(), latency: new Histogram(FINE), slowest: null, rolls, faulty });
  }

  add(ms, traceId) {
    this.latency.add(ms);
    if (ms > (this.slowest?.ms ?? -1)) this.slowest = { ms, traceId };
  }

  merge(other) {
    this.ms += other.ms;
    this.requests += other.requests;
    for (const [code, n] of other.errors) count(this.errors, code, n);
    this.latency.merge(other.latency);
    if ((other.slowest?.ms ?? -1) > (this.slowest?.ms ?? -1)) this.slowest = other.slowest;
    this.rolls = Math.max(this.rolls, other.rolls);
    this.faulty ||= other.faulty;
    return this;
  }

  rate(n = this.requests) { return n / (this.ms / 1000); }
  quantile(q) { return this.latency.quantile(q)?.value ?? null; }
}

export class Load {
  #abort = new AbortController();
  #open;
  #inFlight = 0;
  #rolls;
  #path;

  /** Each request asks for `path` and rolls `rolls` dice; `seconds` may be Infinity. */
  constructor({ users, seconds, path, rolls }) {
    this.#path = path;
    this.#rolls = rolls;
    this.#open = new Point(0, false);
    Object.assign(this, { users, seconds, began: performance.now(), stopped: false, ended: false, width: 1000, points: [],
      sent: 0, dice: 0, errors: new Map(), latency: new Histogram(BOUNDS) });
  }

  get elapsed() { return performance.now() - this.began; }
  /** No request is sent any more; those that were sent may still be answered. */
  get ending() { return this.stopped || this.elapsed >= this.seconds * 1000; }
  get waiting() { return this.#inFlight; }
  get rollsInFlight() { return this.#inFlight * this.#rolls; }
  get answered() { return this.latency.total; }
  get failed() { return [...this.errors.values()].reduce((sum, n) => sum + n, 0); }

  /** Lets the requests in flight finish; the second time, it cancels them. */
  stop() {
    if (this.ending) this.#abort.abort();
    this.stopped = true;
  }

  async run() {
    await Promise.all(Array.from({ length: this.users }, () => this.#user()));
    this.tick(this.#open.faulty);
    this.#close(this.elapsed - this.points.length * this.width);
    this.ended = true;
  }

  /** Closes the seconds that are over. Called several times a second. */
  tick(faulty) {
    // It holds 250; what is in it has been read.
    if (performance.getEntriesByType('resource').length > 100) performance.clearResourceTimings();
    this.#open.faulty ||= faulty;
    while (this.elapsed >= (this.points.length + 1) * this.width) {
      this.#close(this.width);
      this.#open.faulty = faulty;
    }
  }

  #close(ms) {
    const { points } = this;
    const point = this.#open;
    point.ms = ms;
    this.#open = new Point(this.rollsInFlight, false);
    // The end of the last second is too short for a rate of its own.
    if (ms < this.width / 2 && points.length) points.at(-1).merge(point);
    else points.push(point);
    if (points.length < MAX_POINTS) return;
    this.points = points.filter((_, i) => i % 2 === 0).map((even, i) => even.merge(points[2 * i + 1]));
    this.width *= 2;
  }

  async #user() {
    while (!this.ending) {
      const next = performance.now() + PAUSE;
      await this.#request();
      if (performance.now() < next) await sleep(next - performance.now());
    }
  }

  async #request() {
    const traceId = newTraceId();
    const began = performance.now();
    let code = '';
    this.sent++;
    this.#inFlight++;
    this.#open.rolls = Math.max(this.#open.rolls, this.rollsInFlight);
    try {
      // The fragment is not sent; it tells the browser's own measurement of this request from those of the others.
      const url = new URL(`${this.#path}#${traceId}`, location.href).href;
      const response = await fetch(url, { headers: { 'dice-trace-id': traceId }, cache: 'no-store', signal: this.#abort.signal });
      const waited = performance.now() - began;
      const answer = await response.json().catch(() => ({}));
      const [measured] = performance.getEntriesByName(url);
      const ms = measured?.requestStart ? measured.responseStart - measured.requestStart : waited;
      if (!response.ok) code = answer.error?.code ?? 'downstream_invalid';
      else this.dice += answer.count ?? 1;
      this.latency.add(ms);
      this.#open.add(ms, traceId);
    } catch {
      code = this.#abort.signal.aborted ? 'cancelled' : 'network';
    }
    this.#inFlight--;
    this.#open.requests++;
    if (!code) return;
    count(this.errors, code);
    count(this.#open.errors, code);
  }
}
