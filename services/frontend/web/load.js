// The panel "Load and faults": sends requests, shows what came of them, and breaks the services on purpose.
import { ApiError, ask, query, sleep } from './api.js';
import { el } from './dom.js';
import { LoadChart, rate } from './load_chart.js';
import { Load } from './load_run.js';
import { duration, plural } from './text.js';

// A browser has six connections to a host, and the page needs one.
const MAX_USERS = 5;
// Of a scenario, in seconds: how long it runs, when its fault starts, and how long that stays.
const SCENARIO = { seconds: 30, before: 5, fault: 10 };
const NO_FAULT = { delay_seconds: 0, error_rate: 0, unavailable: false };

const words = (code) => new ApiError(code).words().what;
const number = (name, label, { min, max, step = 1, value }) => el('label', { className: 'field' }, label,
  el('input', { type: 'number', name, min, max, step, value, required: true, inputMode: 'decimal' }));
const button = (textContent, onclick, properties) => el('button', { type: 'button', textContent, onclick, ...properties });

/** The fault of one service: its form, and what is in force. */
class Fault {
  /** `onChange(text)` is called when a fault starts or ends. */
  constructor(name, onChange) {
    Object.assign(this, { name, onChange, setting: NO_FAULT, until: 0 });
    this.state = el('span', { className: 'load-state' });
    this.clearButton = button('Clear', () => this.put(NO_FAULT), { disabled: true });
    this.node = el('form', { className: 'load-fault', data: { fault: name }, ariaLabel: `Fault of ${name}` }, el('h4', { textContent: name }),
      number('delay', 'Delay (s)', { min: 0, max: 60, step: 0.1, value: 0 }), number('errors', 'Errors (%)', { min: 0, max: 100, value: 0 }),
      el('label', { className: 'check' }, el('input', { type: 'checkbox', name: 'unavailable' }), ' Unavailable'),
      number('seconds', 'For (s)', { min: 1, max: 300, value: 30 }),
      el('span', { className: 'load-buttons' }, el('button', { textContent: 'Apply' }), this.clearButton), this.state);
    this.node.addEventListener('submit', (event) => {
      event.preventDefault();
      const { delay, errors, unavailable, seconds } = this.node.elements;
      this.put({ delay_seconds: delay.valueAsNumber, error_rate: errors.valueAsNumber / 100, unavailable: unavailable.checked }, seconds.valueAsNumber);
    });
    this.#send();
  }

  get active() { return performance.now() < this.until; }

  put(setting, seconds = 1) {
    return this.#send({ ...setting, duration_seconds: seconds });
  }

  /** Called several times a second. */
  tick() {
    if (this.until && !this.active) this.#send(); // its end is the service's to say
    this.#draw();
  }

  async #send(setting) {
    if (this.sending && !setting) return;
    this.sending = true;
    this.error = '';
    try {
      const { answer } = await ask(`api/faults/${encodeURIComponent(this.name)}`, { signal: AbortSignal.timeout(5000),
        ...setting && { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(setting) } });
      this.#set(answer, answer.remaining_seconds ?? Infinity); // set elsewhere, without an end
    } catch ({ code, status, detail }) {
      this.error = code === 'network' ? 'The service could not be asked.' : status === 404 ? 'The services do not allow faults.' : detail;
    }
    this.sending = false;
    if (this.error) this.until = 0;
    this.#draw();
  }

  #set(setting, seconds) {
    const on = setting.delay_seconds > 0 || setting.error_rate > 0 || Boolean(setting.unavailable);
    const before = this.text;
    const had = this.until > 0;
    this.setting = setting;
    this.until = on ? performance.now() + seconds * 1000 : 0;
    if (on && this.text !== before) this.onChange(`${this.name}: ${this.text}`);
    else if (had && !on) this.onChange(`${this.name}: no fault any more`);
  }

  get text() {
    const { delay_seconds: delay, error_rate: errors, unavailable } = this.setting;
    return [unavailable && 'unavailable', delay > 0 && `${delay} s slower`, errors > 0 && `${rate(errors * 100)} % errors`].filter(Boolean).join(', ');
  }

  #draw() {
    const left = Math.ceil((this.until - performance.now()) / 1000);
    const text = this.error || (this.active ? `${this.text}, ${Number.isFinite(left) ? `${left} s left` : 'until cleared'}` : 'no fault');
    if (this.state.textContent !== text) this.state.textContent = text;
    this.node.toggleAttribute('data-active', this.active);
    this.clearButton.disabled = !this.active;
  }
}

export class LoadPanel {
  /** `dice()` is what the form says: {die, async, times, strategy, concurrency}; `max` is the largest batch. The services' names,
      each calls the next, are in `host.dataset.services`. */
  constructor(host, { dice, openTrace, max = 20 }) {
    Object.assign(this, { host, dice, max, load: null, scenario: null, faults: [] });
    this.chart = new LoadChart(openTrace);
    this.status = el('p', { className: 'unseen', role: 'status' });
    this.faults = (host.dataset.services ?? '').split(/[\s,]+/).filter(Boolean).map((name) => new Fault(name, (text) => this.#say(text)));
    this.totals = el('dl', { className: 'load-totals', hidden: true });
    this.note = el('p', { className: 'hint' });
    this.startButton = el('button', { textContent: 'Start' });
    this.form = el('form', { className: 'load-form', ariaLabel: 'Load' }, number('users', 'Users', { min: 1, max: MAX_USERS, value: MAX_USERS }),
      el('label', { className: 'field' }, 'Duration', el('select', { name: 'seconds' },
        ...[['10', '10 s'], ['60', '60 s'], ['', 'Until stopped']].map(([value, textContent]) => el('option', { value, textContent })))), this.startButton);
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      const { users, seconds } = this.form.elements;
      this.scenario = null;
      if (this.load) this.#stop();
      else this.start({ users: users.valueAsNumber, seconds: Number(seconds.value) || Infinity });
    });
    this.style = el('link', { rel: 'stylesheet', href: 'load.css' });
    this.root = el('div', { className: 'load', hidden: true }, el('h2', { textContent: 'Load and faults' }),
      el('p', { className: 'hint', textContent: 'Sends real requests, and breaks the real services for everyone who uses them. A fault ends by itself.' }),
      this.#scenarios(), el('h3', { textContent: 'Load' }), this.form, this.note,
      el('p', { className: 'hint' }, `A page cannot have more than ${MAX_USERS} users, because of the browser’s limit of connections. For more, run `,
        el('code', { textContent: this.#command('--users 50 --duration 60') })),
      this.chart.node, this.totals, el('h3', { textContent: 'Faults' }), ...this.faults.map(({ node }) => node), this.status);
    this.style.onload = this.style.onerror = () => { this.root.hidden = false; };
    host.append(this.style, this.root);
    this.#drawLoad();
    this.timer = setInterval(() => this.#tick(), 250);
  }

  close() {
    clearInterval(this.timer);
    this.scenario = null;
    this.load?.stop();
    this.load?.stop();
    this.load = null;
    this.style.remove();
    this.root.remove();
  }

  /** Sends what the form says, or what `choices` say. Ends with the last answer. */
  async start({ users, seconds, choices = this.dice() }) {
    if (!choices?.die) return this.#say('There is nothing to roll yet.');
    const { die, times, strategy, concurrency } = choices;
    const batch = choices.async !== false && times > 0;
    const load = new Load({ users, seconds, rolls: batch ? times : 1,
      path: batch ? `roll-async?${query({ die, times, strategy, concurrency })}` : `roll?${query({ die })}` });
    Object.assign(this, { load, shown: load, drawn: -1, title: `${plural(users, 'user')}, ${batch ? plural(times, 'die', 'dice') : 'one die'} a request, ${die}` });
    this.#say(`Load started: ${this.title}.`);
    this.#tick();
    await (this.running = load.run());
    if (this.load !== load) return;
    this.load = null;
    this.#draw();
    const { p99 } = this.#percentiles();
    this.#say(`Load ended: ${plural(load.sent, 'request')}, ${plural(load.failed, 'error')}${p99 ? `, p99 ${duration(p99.value)}` : ''}.`);
  }

  #command(flags) {
    return `loadgen traffic --url ${location.origin} ${flags}`;
  }

  #scenarios() {
    const [rolls, dice] = this.faults.slice(-2);
    if (!rolls || !dice) return '';
    const { max } = this;
    const list = [
      { label: `${dice.name} slow`, fault: { ...NO_FAULT, delay_seconds: 1 }, text: [`Watch the latency: p50 and p99 rise by one second, because each request asks ${dice.name} first; in a trace, that call is the long bar.`] },
      { label: `${dice.name} down`, fault: { ...NO_FAULT, unavailable: true }, text: [`Watch the errors: a few calls fail, then ${rolls.name} stops asking (circuit open) and fails at once, until a probe succeeds shortly after the end.`] },
      { label: 'Overload', text: [`Watch the rolls in flight: ${MAX_USERS} users with ${max} dice each are at most ${MAX_USERS * max} rolls, which should pass without an error, because ${
        rolls.name} turns requests away (overloaded) only beyond its limit, 1024 unless set otherwise; to get there, meanwhile run `,
        el('code', { textContent: this.#command(`--users 200 --async 1 --max-batch ${max} --think-max 0 --duration 20`) })] },
    ];
    return el('ul', { className: 'load-scenarios' }, ...list.map(({ label, fault, text }) => el('li', {},
      button(label, () => this.#play({ label, fault, on: dice })), el('p', { className: 'hint' }, ...text))));
  }

  /** A load that runs goes on, unless the scenario needs another one. */
  async #play(scenario) {
    this.scenario = scenario;
    const { seconds, before, fault } = SCENARIO;
    if (this.load && !scenario.fault) {
      if (!this.load.ending) this.load.stop();
      await this.running;
    }
    const fresh = !this.load;
    const choices = this.dice();
    if (fresh) this.start({ users: MAX_USERS, seconds, choices: scenario.fault ? choices : { ...choices, async: true, times: this.max, concurrency: null } });
    const { load } = this;
    if (!scenario.fault || !load) return;
    if (fresh) await sleep(before * 1000);
    if (this.scenario === scenario && this.load === load && !load.ending) await scenario.on.put(scenario.fault, fault);
  }

  #stop() {
    this.load.stop();
    this.#draw();
  }

  #say(text) {
    this.status.textContent = text;
  }

  #tick() {
    for (const fault of this.faults) fault.tick();
    this.load?.tick(this.faults.some(({ active }) => active));
    this.#drawLoad();
    // The chart changes when a second is over.
    if (this.load && this.load.points.length !== this.drawn) this.#draw();
  }

  #drawLoad() {
    const { load } = this;
    const ending = load?.ending;
    this.startButton.textContent = !load ? 'Start' : ending ? `Cancel the last ${load.waiting}` : 'Stop';
    this.form.elements.users.disabled = this.form.elements.seconds.disabled = Boolean(load);
    this.root.dataset.state = !load ? 'idle' : ending ? 'ending' : 'running';
    const text = !load ? 'Sends what the form says. Each user waits for the answer, and sends at most 20 requests a second.'
      : `${this.title}: ${plural(load.rollsInFlight, 'roll')} in flight, ${duration(load.elapsed)}`;
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  #draw() {
    this.drawn = this.shown.points.length;
    this.#drawLoad();
    this.chart.draw(this.shown);
    this.#drawTotals();
  }

  #percentiles() {
    return Object.fromEntries([50, 95, 99].map((p) => [`p${p}`, this.shown.latency.quantile(p / 100)]));
  }

  #drawTotals() {
    const load = this.shown;
    const item = (key, label, value, note, data = {}) => el('div', { data: { total: key, value, ...data } }, el('dt', { textContent: label }),
      el('dd', { textContent: typeof value === 'number' ? String(value) : value }), el('dd', { className: 'hint', textContent: note }));
    const bound = (ms) => `${ms / 1000}`;
    this.totals.hidden = false;
    this.totals.replaceChildren(item('requests', 'Requests', load.sent, this.title), item('answered', 'Answered', load.answered, 'with or without an error'),
      item('dice', 'Dice received', load.dice, 'in the answers'),
      ...Object.entries(this.#percentiles()).filter(([, found]) => found).map(([key, { value, from, to }]) => item(key, key, duration(value),
        to === Infinity ? `more than ${bound(from)} s` : `in the services’ bucket from ${bound(from)} to ${bound(to)} s`, { le: to === Infinity ? '+Inf' : bound(to) })),
      ...[...load.errors].map(([code, n]) => item('error', code.replaceAll('_', ' '), n, words(code), { code })));
  }
}
