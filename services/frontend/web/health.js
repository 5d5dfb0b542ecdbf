// Checks whether the service is available: requests its list of dice until it responds, and shows the status.
import { ApiError, get, sleep } from './api.js';

export class Health {
  /** `onDice(names)` is called with the list of dice each time it is fetched, `onConfig(config)` with the page's configuration. */
  constructor(status, onDice, onConfig) {
    Object.assign(this, { status, onDice, onConfig, looking: false, lost: false, found: false });
  }

  /** Hides the message that the service is back. */
  clear() {
    this.status.hidden = !this.lost;
  }

  async find() {
    if (this.looking) return;
    this.looking = true;
    for (let pause = 500; !await this.#try(); pause = Math.min(pause * 2, 3000)) await sleep(pause);
    this.looking = false;
    get('api/config', { signal: AbortSignal.timeout(5000) }).then(this.onConfig, () => { /* the page works without it */ });
  }

  async #try() {
    try {
      const { identifiers } = await get('dice', { signal: AbortSignal.timeout(5000) });
      if (!identifiers?.length) throw new ApiError('not_ready', { message: 'the list of dice is empty' });
      this.onDice(identifiers);
      if (this.lost) this.status.textContent = 'The service is back.';
      this.#set(false);
      this.found = true;
      return true;
    } catch (error) {
      const what = error instanceof ApiError ? error.words().what : 'The answer could not be read.';
      this.status.textContent = `${this.found ? '' : 'No list of dice. '}${what} Trying again automatically.`;
      this.status.hidden = false;
      this.#set(true);
      return false;
    }
  }

  #set(lost) {
    this.lost = lost;
    this.status.toggleAttribute('data-lost', lost);
  }
}
