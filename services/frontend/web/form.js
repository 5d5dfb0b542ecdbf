// The form: what to roll.
import { el, ids } from './dom.js';
import { atOnce } from './run.js';

export class Form {
  /** `onRoll(compare)` is called when the user starts a roll, `onChange()` when a field has changed. */
  constructor(root, onRoll, onChange) {
    Object.assign(this, { root, ui: ids(root), dice: [], wanted: '' });
    root.addEventListener('input', () => { this.update(); onChange(); });
    root.addEventListener('submit', (event) => { event.preventDefault(); onRoll(false); });
    this.ui.compare.addEventListener('click', () => onRoll(true));
    this.update();
  }

  /**
   * `words` are the data- attributes of the strategy's option, all optional: `batchFailed`: what happened when a batch fails, and after a | what to do;
   * `endsOn`: the state of a roll (ok, failed) that ends the batch; `winner`: the word under the dice that succeeded.
   */
  read() {
    const { die, async, times, strategy, concurrency, seed } = this.ui;
    const number = (input) => (async.checked && input.value ? input.valueAsNumber : null);
    return { die: die.value, async: async.checked, times: number(times) ?? 10, strategy: strategy.value, words: this.wordsOf(strategy.value),
      concurrency: number(concurrency), seed: number(seed) };
  }

  wordsOf(strategy) {
    return { ...[...this.ui.strategy.options].find((option) => option.value === strategy)?.dataset };
  }

  /** What of the form belongs into the page's address. */
  fields() {
    const { die, async, times, strategy, concurrency, seed } = this.read();
    return { die: this.dice.length ? die : this.wanted, ...(async && { times, concurrency, strategy, seed }) };
  }

  fill({ die = '', times, concurrency = '', strategy, seed = '' }) {
    const { ui } = this;
    this.wanted = die;
    if (this.dice.includes(die)) ui.die.value = die;
    ui.async.checked = times !== undefined;
    if (times !== undefined) ui.times.value = times;
    Object.assign(ui.concurrency, { value: concurrency });
    Object.assign(ui.seed, { value: seed });
    const known = [...ui.strategy.options].find((option) => (strategy ? option.value === strategy : option.defaultSelected));
    if (known) ui.strategy.value = known.value;
    this.update();
  }

  ready() {
    return this.dice.length > 0 && this.root.reportValidity();
  }

  update() {
    const { times, concurrency, strategy, seed, roll, compare } = this.ui;
    const choices = this.read();
    const valid = choices.times >= 1 && choices.times <= times.max;
    this.ui['async-options'].hidden = !choices.async;
    for (const node of [times, concurrency, strategy, seed]) node.disabled = !choices.async;
    roll.textContent = !choices.async ? 'Roll once' : valid ? `Roll ${choices.times}${atOnce(choices) ? ' at once' : ''}` : 'Roll';
    compare.textContent = valid ? `Compare ${choices.times} rolls` : 'Compare rolls';
    concurrency.max = valid ? choices.times : times.max;
    roll.disabled = compare.disabled = !this.dice.length;
  }

  setDice(names) {
    const { die } = this.ui;
    const chosen = this.dice.length ? die.value : this.wanted;
    this.dice = names;
    die.replaceChildren(...names.map((name) => el('option', { value: name, textContent: name, selected: name === chosen })));
    die.disabled = false;
    this.update();
  }

  setMaximum(times) {
    this.ui.times.max = times;
    this.update();
  }
}
