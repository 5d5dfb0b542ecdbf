// Shows the details of a span, and log lines.
import { el } from './dom.js';
import { duration } from './text.js';
import { STATES } from './waterfall.js';

// <wbr> allows line breaks at the dots of long attribute names without changing copied text.
const facts = (object) => el('dl', {}, ...Object.entries(object).flatMap(([key, v]) => [
  el('dt', {}, ...key.split(/(?<=[._])/).flatMap((piece) => [piece, el('wbr')])), el('dd', { textContent: String(v) })]));
const pairs = (object) => Object.entries(object).map(([key, v]) => `${key}=${typeof v === 'object' ? JSON.stringify(v) : v}`).join(' ');
const list = (title, items) => (items.length ? [el('h5', { textContent: title }), el('ol', {}, ...items)] : []);

/** Milliseconds since the start of the trace; the timestamps are RFC 3339 with microseconds. */
export function atOf(line, model) {
  const [, seconds, fraction = ''] = /^(.{19})(?:\.(\d+))?Z$/.exec(line.timestamp) ?? [];
  return seconds ? Number(BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0')) - model.origin) / 1e6 : 0;
}

function logText(line, model) {
  const { timestamp, level, message, logger, service, trace_id: trace, span_id: span, ...fields } = line;
  return [el('span', { textContent: `${duration(Math.max(0, atOf(line, model)))} ` }), el('b', { textContent: `${message} `, data: { level } }),
    el('small', { textContent: pairs(fields) })];
}

export function drawDetails(host, span, { model, lines = [], onClose }) {
  host.hidden = !span;
  if (!span) return host.replaceChildren();
  const close = el('button', { type: 'button', className: 'plain', ariaLabel: 'Close the details', textContent: '✕', onclick: onClose });
  host.replaceChildren(el('div', { className: 'details-head' }, el('h4', { textContent: span.name }), close),
    el('p', { className: 'hint', textContent: [span.service, span.kind, STATES[span.state], span.critical && 'critical path'].filter(Boolean).join(' · ') }),
    facts({ start: duration(span.start), ...(!span.open && { duration: duration(span.end - span.start) }), ...(span.message && { status: span.message }) }),
    ...(Object.keys(span.attributes).length ? [el('h5', { textContent: 'Attributes' }), facts(span.attributes)] : []),
    ...list('Events', span.events.map((event) => el('li', {}, el('span', { textContent: `${duration(event.at)} ${event.name} ` }),
      el('small', { textContent: pairs(event.attributes) })))),
    ...list('Log lines', lines.filter((line) => line.span_id === span.id).map((line) => el('li', {}, ...logText(line, model)))));
}

/** All log lines of `parts`: [{model, lines}]; a click selects the line's span. */
export function drawLogLines(host, parts, onChoose) {
  host.replaceChildren(...parts.flatMap(({ model, lines = [] }) => lines.map((line) => el('li', {},
    el('button', { type: 'button', className: 'plain', onclick: () => onChoose(line.span_id), data: { span: line.span_id ?? '', level: line.level } },
      el('small', { textContent: line.service }), ...logText(line, model))))));
}
