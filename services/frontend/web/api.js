// What the service says, and what that means to a person: [what happened, what to do next].
const WORDS = {
  malformed_request: ['The service could not read the request.', 'Reload the page and try again.'],
  invalid_parameter: ['The service does not accept one of the values.', 'Change it and roll again.'],
  not_found: ['The service does not know this address.', 'Page and service may be of different versions: reload the page.'],
  die_not_found: ['This die no longer exists.', 'Choose another one from the menu.'],
  trace_not_found: ['There is no trace of this request.', 'It may be too old, or tracing may be off: roll again.'],
  method_not_allowed: ['The service does not allow this kind of request.', 'Page and service may be of different versions: reload the page.'],
  payload_too_large: ['The request is larger than the service accepts.', 'Roll fewer dice.'],
  rate_limited: ['That was more requests than are allowed.', 'Wait a moment, then roll again.'],
  overloaded: ['The dice roller has as many rolls at work as it can hold.', 'Wait a moment, or roll fewer dice.'],
  circuit_open: ['The die service failed several times, so calls to it are paused.', 'They resume by themselves: wait a moment, then roll again.'],
  not_ready: ['The service is still starting or about to stop.', 'Wait a moment, then roll again.'],
  roll_failed: ['The die failed to roll.', 'This die fails at times, on purpose: nothing is broken. Roll again.'],
  batch_failed: ['A die failed to roll, so the batch stopped.',
    'This die fails at times, on purpose: nothing is broken. Roll again, or keep the others when a roll fails (best-effort).'],
  fault_injected: ['Someone switched on a fault for a demonstration, and it hit this request.', 'Roll again, or switch the fault off.'],
  downstream_unavailable: ['A service behind this page cannot be reached.', 'Roll again once it is back: the trace shows where the call ended.'],
  downstream_timeout: ['A service behind this page took too long to answer.', 'Roll again, perhaps with fewer dice.'],
  downstream_invalid: ['A service behind this page gave an answer that makes no sense.', 'The services may be of different versions: check them, then roll again.'],
  internal: ['Something went wrong inside the service.', 'Roll again. If it stays, look into the logs with the trace id below.'],
  network: ['The service cannot be reached.', 'The page keeps looking for it and says when it is back.'],
  cancelled: ['You cancelled the roll.', 'Roll again whenever you like.'],
};

export class ApiError extends Error {
  constructor(code, { message = '', status = 0, traceId = '', retryAfter = 0 } = {}) {
    super(message || code);
    Object.assign(this, { code, detail: message, status, traceId, retryAfter });
  }
  words() {
    const [what, next] = WORDS[this.code] ?? [`The service answered with an error this page does not know (${this.code}).`, 'Roll again.'];
    return { what, next: this.retryAfter ? `${next} Try again in ${this.retryAfter} s.` : next };
  }
}

export async function get(path, { signal, headers } = {}) {
  let response, body;
  try {
    response = await fetch(path, { signal, headers, cache: 'no-store' });
    body = await response.text();
  } catch {
    throw new ApiError(signal?.aborted && signal.reason?.name === 'AbortError' ? 'cancelled' : 'network');
  }
  const { status } = response;
  let json = null;
  try { json = JSON.parse(body); } catch { /* told below, by what is missing */ }
  if (response.ok && json) return json;
  if (!json?.error?.code) throw new ApiError('downstream_invalid', { status, message: `HTTP ${status}, and no answer this page can read` });
  throw new ApiError(json.error.code, { message: json.error.message, status, traceId: json.trace_id,
    retryAfter: Number(response.headers.get('Retry-After')) || 0 });
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Yields what is there of a trace until `enough(answer)` or 10 s have passed; yields null while there is nothing. */
export async function* watchTrace(id, enough) {
  const deadline = performance.now() + 10_000;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    let answer = null;
    try {
      answer = await get(`api/traces/${id}`, { signal: AbortSignal.timeout(5000) });
    } catch (error) {
      if (['malformed_request', 'invalid_parameter', 'method_not_allowed'].includes(error.code)) throw error;
    }
    const done = answer !== null && enough(answer);
    yield { answer, done };
    if (done || performance.now() + pause > deadline) return;
    await sleep(pause);
  }
}
