// The history: previous runs, newest first, which can be shown again.
import { el, ids } from './dom.js';
import { summary } from './run.js';
import { duration } from './text.js';

const LENGTH = 20;

export class History {
  constructor(root, onChoose) {
    Object.assign(this, { root, ui: ids(root), onChoose, runs: [], buttons: new Map() });
  }

  add(run) {
    this.runs.unshift(run);
    this.runs.length = Math.min(this.runs.length, LENGTH);
  }

  draw(shown) {
    const focused = this.runs.find((run) => this.buttons.get(run) === document.activeElement);
    this.buttons = new Map(this.runs.map((run) => [run, this.#button(run, run === shown)]));
    this.root.hidden = !this.runs.length;
    this.ui['history-list'].replaceChildren(...[...this.buttons.values()].map((button) => el('li', {}, button)));
    this.buttons.get(focused)?.focus();
  }

  #button(run, current) {
    const rolling = run.state === 'rolling';
    const outcome = rolling ? 'rolling…' : run.error ? `✕ ${run.error.code.replaceAll('_', ' ')}` : summary(run.parts.at(-1));
    return el('button', { type: 'button', onclick: () => this.onChoose(run), ariaCurrent: current ? 'true' : null, data: { run: run.kind } },
      el('span', { textContent: run.title }), el('time', { textContent: run.at.toLocaleTimeString(), dateTime: run.at.toISOString() }),
      el('b', { textContent: outcome }), el('span', { textContent: rolling ? '' : duration(run.ms) }));
  }
}
