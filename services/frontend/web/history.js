// The history: previous runs, newest first, which can be shown again. It survives a reload.
import { readAddress } from './address.js';
import { el, ids } from './dom.js';
import { outcomeOf } from './run.js';
import { duration } from './text.js';

const LENGTH = 20;
const KEY = 'dice.history';

export class History {
  /** `addressOf(run)` is what is stored of a run; `onChoose(entry)` has `run` or, after a reload, `address`. */
  constructor(root, { addressOf, onChoose, storage }) {
    Object.assign(this, { root, ui: ids(root), addressOf, onChoose, storage, buttons: new Map() });
    try { this.entries = JSON.parse(storage.getItem(KEY)) ?? []; } catch { this.entries = []; }
    if (!Array.isArray(this.entries)) this.entries = [];
    this.entries = this.entries.filter((one) => ['title', 'at', 'outcome', 'took', 'address'].every((key) => typeof one?.[key] === 'string')).slice(0, LENGTH);
  }

  add(run) {
    this.entries.unshift({ run });
    this.entries.length = Math.min(this.entries.length, LENGTH);
  }

  draw(shown) {
    const focused = this.entries.find((entry) => this.buttons.get(entry) === document.activeElement);
    for (const entry of this.entries) if (entry.run) Object.assign(entry, this.#describe(entry.run));
    this.buttons = new Map(this.entries.map((entry) => [entry, this.#button(entry, shown)]));
    this.root.hidden = !this.entries.length;
    this.ui['history-list'].replaceChildren(...[...this.buttons].map(([{ run }, button]) => el('li', {}, button, ...(run?.state === 'rolling'
      ? [el('button', { type: 'button', className: 'plain stop', ariaLabel: `Cancel ${run.title}`, textContent: '✕', onclick: () => run.cancel() })] : []))));
    this.buttons.get(focused)?.focus();
  }

  save() {
    try {
      this.storage.setItem(KEY, JSON.stringify(this.entries.filter(({ run }) => !run || run.state !== 'rolling').map(({ run, ...entry }) => entry)));
    } catch { /* private windows may have no storage */ }
  }

  #describe(run) {
    const rolling = run.state === 'rolling';
    return { title: run.title, at: run.at.toISOString(), address: this.addressOf(run), took: rolling ? '' : duration(run.ms),
      outcome: rolling ? 'rolling…' : `${run.error ? '✕ ' : ''}${outcomeOf(run)}` };
  }

  #button(entry, shown) {
    const { run, title, at, outcome, took, address } = entry;
    const current = shown && (run ? run === shown : String(readAddress(address).traces) === String(shown.traceIds));
    return el('button', { type: 'button', onclick: () => this.onChoose(entry), ariaCurrent: current ? 'true' : null },
      el('span', { textContent: title }), el('time', { textContent: new Date(at).toLocaleTimeString(), dateTime: at }),
      el('b', { textContent: outcome }), el('span', { textContent: took }));
  }
}
