// Requests to the service, and messages for its errors.

// {error code: [what happened, what to do next]}
const WORDS = {
  malformed_request: ['The service could not read the request.', 'Reload the page and try again.'],
  invalid_parameter: ['The service does not accept one of the values.', 'Change it and roll again.'],
  not_found: ['The service does not know this address.', 'The page may be out of date: reload it.'],
  die_not_found: ['This die no longer exists.', 'Choose another one.'],
  trace_not_found: ['This trace is not remembered.', 'It may be too old, or it was not sampled. Roll again.'],
  method_not_allowed: ['The service does not allow this kind of request.', 'The page may be out of date: reload it.'],
  payload_too_large: ['The request is larger than the service accepts.', 'Roll fewer dice.'],
  rate_limited: ['Too many requests.', 'Wait a moment, then roll again.'],
  overloaded: ['The dice roller is busy.', 'Wait a moment, or roll fewer dice.'],
  forbidden: ['The service does not allow this from another site.', 'Open the page at its own address.'],
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
  cancelled: ['You cancelled the roll.', 'The trace shows what had happened by then.'],
};

export class ApiError extends Error {
  constructor(code, { message = '', status = 0, traceId = '', retryAfter = 0, sampled } = {}) {
    super(message || code);
    Object.assign(this, { code, detail: message, status, traceId, retryAfter, sampled });
  }
  words() {
    const [what, next] = WORDS[this.code] ?? [`The service returned an error that this page does not know (${this.code}).`, 'Roll again.'];
    return { what, next: this.retryAfter ? `Try again in ${this.retryAfter} s.` : next };
  }
}

/** {answer, sampled}: the parsed body of a response, and whether the request was traced. Anything but a success with JSON is an ApiError. */
export async function ask(path, { signal, headers, method, body } = {}) {
  let response, text;
  try {
    response = await fetch(path, { signal, headers, method, body });
    text = await response.text();
  } catch {
    throw new ApiError(signal?.aborted && signal.reason?.name === 'AbortError' ? 'cancelled' : 'network');
  }
  const { status } = response;
  const sampled = !response.headers.get('traceresponse')?.endsWith('-00');
  let json = null;
  try { json = JSON.parse(text); } catch { /* reported below */ }
  if (response.ok && json) return { answer: json, sampled };
  if (!json?.error?.code) throw new ApiError('downstream_invalid', { status, message: `HTTP ${status} with a body that this page cannot read` });
  throw new ApiError(json.error.code, { message: json.error.message, status, traceId: json.trace_id, sampled,
    retryAfter: Number(response.headers.get('Retry-After')) || 0 });
}

export const get = async (path, options) => (await ask(path, options)).answer;

/** 32 hex digits. */
export const newTraceId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

/** Without the parameters that have no value. */
export const query = (parameters) => new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== null && v !== undefined && v !== ''));

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
