// The page's address: what the form says, and which traces are shown.
import { query } from './api.js';

const FIELDS = ['die', 'times', 'concurrency', 'strategy', 'seed'];
const TRACE_ID = /^(?!0+$)[0-9a-f]{32}$/;

/** {fields, traces}: only what has a meaning. */
export function readAddress(search) {
  const parameters = new URLSearchParams(search);
  return { fields: Object.fromEntries(FIELDS.filter((name) => parameters.get(name)).map((name) => [name, parameters.get(name)])),
    traces: [...new Set(parameters.getAll('trace').filter((id) => TRACE_ID.test(id)))].slice(0, 20) };
}

/** The search part of an address; fields without a value are left out. */
export function writeAddress(fields, traces = []) {
  const parameters = query(Object.fromEntries(FIELDS.map((name) => [name, fields[name]])));
  for (const id of traces) parameters.append('trace', id);
  const text = parameters.toString();
  return text && `?${text}`;
}
