// The only reader of OTLP JSON: converts a trace to a model in milliseconds, relative to the start of the first span.
const value = (v = {}) => 'intValue' in v ? Number(v.intValue) : 'arrayValue' in v ? (v.arrayValue.values ?? []).map(value)
  : v.stringValue ?? v.doubleValue ?? v.boolValue ?? '';
const attributes = (list = []) => Object.fromEntries(list.map(({ key, value: v }) => [key, value(v)]));
const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer'];
// Rolls in the order of their indexes, whichever thread was first.
const inOrder = (a, b) => (a.rollIndex !== undefined && b.rollIndex !== undefined ? a.rollIndex - b.rollIndex : a.start - b.start);
const isOpen = (span) => !Number(span.endTimeUnixNano);

/** A span that has not ended is `open`, and its `end` is the time of the answer, `timeUnixNano`. */
export function readTrace({ resourceSpans = [], timeUnixNano }) {
  const raw = new Map();
  for (const { resource, scopeSpans = [] } of resourceSpans) {
    const service = attributes(resource?.attributes)['service.name'] ?? 'unknown';
    for (const span of scopeSpans.flatMap((scope) => scope.spans ?? [])) raw.set(span.spanId, { span, service });
  }
  const nano = [...raw.values()].map(({ span }) => BigInt(span.startTimeUnixNano));
  const origin = nano.reduce((a, b) => (b < a ? b : a), nano[0] ?? 0n);
  const ms = (time) => Number(BigInt(time) - origin) / 1e6;
  const latest = Math.max(0, ...[...raw.values()].map(({ span }) => ms(isOpen(span) ? span.startTimeUnixNano : span.endTimeUnixNano)));
  const now = timeUnixNano ? Math.max(ms(timeUnixNano), 0) : latest;
  const spans = new Map();
  for (const [id, { span, service }] of raw) {
    const a = attributes(span.attributes);
    const open = isOpen(span);
    const start = ms(span.startTimeUnixNano);
    spans.set(id, {
      id, service, name: span.name, kind: KINDS[span.kind] ?? '', parentId: span.parentSpanId || '', attributes: a, children: [], open,
      start, end: open ? Math.max(start, now) : ms(span.endTimeUnixNano), message: span.status?.message ?? '', result: a['die.result'],
      events: (span.events ?? []).map((e) => ({ at: ms(e.timeUnixNano), name: e.name, attributes: attributes(e.attributes) })),
      state: a['die.cancelled'] === true ? 'cancelled' : span.status?.code === 2 || a['die.error'] === true ? 'failed' : open ? 'open' : 'ok',
      rollIndex: a['async.roll_index'],
    });
  }
  const roots = [];
  for (const span of spans.values()) (spans.get(span.parentId)?.children ?? roots).push(span);
  const rows = [];
  const visit = (span, depth) => {
    span.depth = depth;
    rows.push(span);
    span.children.sort(inOrder).forEach((child) => visit(child, depth + 1));
  };
  roots.sort(inOrder).forEach((root) => visit(root, 0));
  rows.forEach(markRoll);
  return { rows, roots, origin, now, at: performance.now(), rolls: rows.filter((s) => s.roll), open: rows.some((s) => s.open),
    services: [...new Set(rows.map((s) => s.service))], end: Math.max(0, ...rows.map((s) => s.end)) };
}

/** Converts the text of a file: one JSON object, or one per line as the Collector's file exporter writes them. */
export function parseTraceFile(text) {
  const read = (json) => {
    const object = JSON.parse(json);
    return object.resourceSpans ?? object.trace?.resourceSpans ?? object.batches ?? [];
  };
  let resourceSpans;
  try { resourceSpans = read(text); } catch { resourceSpans = text.split('\n').filter((line) => line.trim()).flatMap(read); }
  const spans = resourceSpans.flatMap(({ scopeSpans = [] }) => scopeSpans.flatMap((scope) => scope.spans ?? []));
  if (!spans.length) throw new TypeError('no spans');
  // A file may hold many traces: the one that its first span belongs to is drawn.
  const { traceId } = spans[0];
  const ours = (span) => span.traceId === traceId;
  return { traceId, complete: true, resourceSpans: resourceSpans.map((one) => ({ ...one,
    scopeSpans: (one.scopeSpans ?? []).map((scope) => ({ ...scope, spans: (scope.spans ?? []).filter(ours) })) })) };
}

// A roll of a batch has its own span. A single roll is the part of a server span after the call that fetches the die.
function markRoll(span) {
  if (span.rollIndex !== undefined) span.roll = { start: span.start, end: span.end };
  else if (span.kind === 'server' && (span.result !== undefined || typeof span.attributes['die.error'] === 'boolean')) {
    const calls = span.children.filter((child) => child.kind === 'client');
    span.roll = { start: Math.max(span.start, ...calls.map((call) => call.end)), end: span.end };
    span.rollIndex = Number(new URLSearchParams(span.attributes['url.query']).get('index') ?? 0);
  }
}

/** The parts of a span in which none of its children was running. */
export function ownTime(span) {
  const own = [];
  let t = span.start;
  for (const child of [...span.children].sort((a, b) => a.start - b.start)) {
    if (child.start > t) own.push([t, Math.min(child.start, span.end)]);
    t = Math.max(t, child.end);
  }
  if (t < span.end || !span.children.length) own.push([t, span.end]);
  return own;
}

/** Number of rolls in progress from each time on: [[ms, count], …]. At the same time, an end counts before a start. */
export function overlap({ rolls }) {
  const edges = rolls.flatMap(({ roll }) => roll.end > roll.start ? [[roll.start, 1], [roll.end, -1]] : []).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let count = 0;
  return edges.map(([t, change]) => [t, count += change]);
}

export function figures(model) {
  const { rolls, end } = model;
  const length = ({ roll }) => roll.end - roll.start;
  const longest = rolls.reduce((a, b) => (a && length(a) >= length(b) ? a : b), null);
  const first = Math.min(...rolls.map((s) => s.roll.start));
  return {
    count: rolls.length, request: end, first, longest, longestMs: longest ? length(longest) : 0,
    sum: rolls.reduce((sum, span) => sum + length(span), 0),
    together: rolls.length ? Math.max(...rolls.map((s) => s.roll.end)) - first : 0,
    peak: Math.max(0, ...overlap(model).map(([, count]) => count)),
    ...Object.fromEntries(['ok', 'failed', 'cancelled', 'open'].map((state) => [state, rolls.filter((span) => span.state === state).length])),
  };
}

/**
 * The critical path, in order of time: [{span, from, to}]. Walks back from the end: the child that
 * finished last, then the one that finished last before that one began, and so on; the time between belongs to the parent.
 * Cancelled spans are not on it, because they ended because of another span.
 */
export function criticalPath({ roots, end }) {
  const path = [];
  const walk = (self, children, from, to) => {
    let t = to;
    for (const child of [...children].sort((a, b) => b.end - a.end)) {
      const childEnd = Math.min(child.end, to);
      const childStart = Math.max(child.start, from);
      if (childEnd > t || childStart >= childEnd || child.state === 'cancelled') continue;
      if (self && childEnd < t) path.push({ span: self, from: childEnd, to: t });
      walk(child, child.children, childStart, childEnd);
      t = childStart;
    }
    if (self && t > from) path.push({ span: self, from, to: t });
  };
  walk(null, roots, 0, end);
  return path.reverse();
}
