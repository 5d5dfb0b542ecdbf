// Requests to the service, and messages for its errors.

// {error code: [what happened, what to do next]}
const WORDS = {
  malformed_request: ['The service could not read the request.', 'Reload the page and try again.'],
  invalid_parameter: ['The service does not accept one of the values.', 'Change it and roll again.'],
  forbidden: ['The service accepts this only from its own page.', 'Open the page at its own address and try again.'],
  not_found: ['The service does not know this address.', 'The page may be out of date: reload it.'],
  die_not_found: ['This die no longer exists.', 'Choose another one.'],
  trace_not_found: ['There is no trace of this request.', 'It may be too old, or tracing may be off. Roll again.'],
  method_not_allowed: ['The service does not allow this kind of request.', 'The page may be out of date: reload it.'],
  payload_too_large: ['The request is larger than the service accepts.', 'Roll fewer dice.'],
  rate_limited: ['Too many requests.', 'Wait a moment, then roll again.'],
  overloaded: ['Too many rolls are in progress.', 'Wait a moment, or roll fewer dice.'],
  circuit_open: ['A service behind this page keeps failing, so calls to it are paused.', 'They resume automatically: wait a moment, then roll again.'],
  not_ready: ['The service is starting or shutting down.', 'Wait a moment, then roll again.'],
  roll_failed: ['The roll failed.', 'This die fails sometimes, by design. Roll again.'],
  batch_failed: ['The batch failed.', 'This die fails sometimes, by design. Roll again.'],
  fault_injected: ['A fault was injected into this request, for demonstration.', 'Roll again, or switch fault injection off.'],
  downstream_unavailable: ['A service behind this page cannot be reached.', 'The trace shows which call failed. Roll again when the service is back.'],
  downstream_timeout: ['A service behind this page took too long to answer.', 'Roll again, perhaps with fewer dice.'],
  downstream_invalid: ['A service behind this page sent an invalid answer.', 'The services may be of different versions: check them, then roll again.'],
  internal: ['Something went wrong inside the service.', 'Roll again. If it happens again, search the logs for the trace id below.'],
  network: ['The service cannot be reached.', 'The page keeps trying, and says when the service is back.'],
  cancelled: ['You cancelled the roll.', 'Roll again whenever you like.'],
};

export class ApiError extends Error {
  constructor(code, { message = '', status = 0, traceId = '', retryAfter = 0 } = {}) {
    super(message || code);
    Object.assign(this, { code, detail: message, status, traceId, retryAfter });
  }
  words() {
    const [what, next] = WORDS[this.code] ?? [`The service returned an error that this page does not know (${this.code}).`, 'Roll again.'];
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
  try { json = JSON.parse(body); } catch { /* reported below */ }
  if (response.ok && json) return json;
  if (!json?.error?.code) throw new ApiError('downstream_invalid', { status, message: `HTTP ${status} with a body that this page cannot read` });
  throw new ApiError(json.error.code, { message: json.error.message, status, traceId: json.trace_id,
    retryAfter: Number(response.headers.get('Retry-After')) || 0 });
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Yields {answer, done}, where `answer` is the trace so far (null if none), until `isComplete(answer)` or for 10 s. */
export async function* watchTrace(id, isComplete) {
  const deadline = performance.now() + 10_000;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    let answer = null;
    try {
      answer = await get(`api/traces/${id}`, { signal: AbortSignal.timeout(5000) });
    } catch (error) {
      if (['malformed_request', 'invalid_parameter', 'method_not_allowed'].includes(error.code)) throw error;
    }
    const done = answer !== null && isComplete(answer);
    yield { answer, done };
    if (done || performance.now() + pause > deadline) return;
    await sleep(pause);
  }
}
