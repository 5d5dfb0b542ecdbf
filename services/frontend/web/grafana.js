// Links from a trace to Grafana.

/** [[text, address]]; empty without an http(s) address of Grafana. `services` are those known to be part of the trace. */
export function grafanaLinks(address, traceId, at, services = []) {
  let base;
  try { base = new URL(address); } catch { return []; }
  if (!/^https?:$/.test(base.protocol)) return [];
  const range = { from: String(at.getTime() - 300_000), to: String(at.getTime() + 300_000) };
  const explore = (uid, target) => `${base.href.replace(/\/+$/, '')}/explore?${new URLSearchParams({ schemaVersion: 1, orgId: 1,
    panes: JSON.stringify({ dice: { datasource: uid, queries: [{ refId: 'A', datasource: { type: uid, uid }, ...target }], range } }) })}`;
  const names = services.map((name) => name.replace(/[^\w-]/g, '.')).join('|') || '.+';
  return [['Trace in Grafana', explore('tempo', { queryType: 'traceql', query: traceId })],
    ['Logs in Grafana', explore('loki', { expr: `{service_name=~"${names}"} | json | trace_id="${traceId}"` })]];
}
