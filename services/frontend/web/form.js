// The form: what to roll.
import { el, ids } from './dom.js';
import { atOnce } from './run.js';

export class Form {
  /** `onRoll(compare)` is called when the user starts a roll. */
  constructor(root, onRoll) {
    Object.assign(this, { root, ui: ids(root), dice: [], busy: false });
    root.addEventListener('input', () => this.update());
    root.addEventListener('submit', (event) => { event.preventDefault(); onRoll(false); });
    this.ui.compare.addEventListener('click', () => onRoll(true));
    this.update();
  }

  /** `words` are the data- attributes of the strategy's option: its texts, and when it ends a batch. */
  read() {
    const { die, async, times, strategy, concurrency } = this.ui;
    return { die: die.value, async: async.checked, times: async.checked ? times.valueAsNumber : 10, strategy: strategy.value,
      words: { ...strategy.selectedOptions[0].dataset }, concurrency: async.checked && concurrency.value ? concurrency.valueAsNumber : null };
  }

  ready() {
    return !this.busy && this.dice.length > 0 && this.root.reportValidity();
  }

  update() {
    const { times, concurrency, strategy, roll, compare } = this.ui;
    const choices = this.read();
    const valid = choices.times >= 1 && choices.times <= times.max;
    this.ui['async-options'].hidden = !choices.async;
    for (const node of [times, concurrency, strategy]) node.disabled = !choices.async;
    roll.textContent = !choices.async ? 'Roll once' : valid ? `Roll ${choices.times}${atOnce(choices) ? ' at once' : ''}` : 'Roll';
    compare.textContent = valid ? `Compare ${choices.times} rolls` : 'Compare rolls';
    concurrency.max = valid ? choices.times : times.max;
    roll.disabled = compare.disabled = this.busy || !this.dice.length;
  }

  setBusy(busy) {
    this.busy = busy;
    this.update();
  }

  setDice(names) {
    const { die } = this.ui;
    const chosen = die.value;
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
