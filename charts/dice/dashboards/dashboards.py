#!/usr/bin/env python3
"""Writes the Grafana dashboards in this folder. A test fails when they are out of date.

They are generated so that queries, units, links and variables are consistent and the layout needs no arithmetic. Only
Python's standard library is used. The tests validate the result with Grafana's schema.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "tools"))

import contract  # noqa: E402

FRONTEND, DICE_ROLLER, DIE_SERVICE = contract.services()
TITLES = {"dice-overview": "Dice / Overview", "dice-async": "Dice / Async rolling",
          "dice-dependencies": "Dice / Dependencies", "dice-resources": "Dice / Resources",
          "dice-pipeline": "Dice / Telemetry pipeline", "dice-load": "Dice / Load"}
TAG = "dice"

NS = 'namespace="$namespace"'
OURS = f'{NS}, job=~"{FRONTEND}|{DICE_ROLLER}|{DIE_SERVICE}"'
WORK = 'route!~"/healthz|/readyz|/metrics|/(debug|api)/.*"'  # no probes, scrapes and looks at traces, as in rules/red.yaml
ROLLS = f'{NS}, job="{FRONTEND}", route=~"/roll|/roll-async"'
RATE, RANGE = "[$__rate_interval]", "[$__range]"
OUR_ALERTS = 'alertname=~"(Dice|TelemetryPipeline).*"'
SERVICES = f'"{FRONTEND}|{DICE_ROLLER}|{DIE_SERVICE}"'  # Tempo's metrics know the services' names, not the namespace

# What the canary's causes mean, for those who do not know its ids. A test compares them with the program.
CAUSES = {
    "source_unreadable": "the backend cannot be read",
    "scrape_missing": "a service is not scraped",
    "scrape_stale": "a service's metrics do not change",
    "collector_down": "the collector does not accept spans",
    "spans_dropped": "some spans are rejected or dropped",
    "spans_not_exported": "a service does not export spans",
    "no_spans": "no span arrives",
    "spans_lost": "spans are missing",
    "traces_lost": "whole traces are missing",
    "context_not_propagated": "the trace context gets lost between services",
    "no_logs": "no log line arrives",
    "lines_lost": "log lines are missing",
    "duplicated": "arrives more than once",
    "wrong": "differs from what was sent",
    "late": "arrives too late",
    "unreachable": "the frontend cannot be reached",
}


# --- building blocks of panels --------------------------------------------------------------------------------------------


def source(kind):
    """The data source chosen by the viewer."""
    return {"type": kind, "uid": "${" + kind + "}"}


def prometheus(expr, legend="", instant=False, exemplar=False, format="time_series"):
    return {"datasource": source("prometheus"), "editorMode": "code", "expr": " ".join(expr.split()), "legendFormat": legend,
            "range": not instant, "instant": instant, "exemplar": exemplar, "format": format}


def quantiles(metric, selector, *shares, by="", legend="", exemplar=True):
    """One target for each quantile; the last one includes the exemplars."""
    labels = ", ".join(filter(None, ["le", by]))
    return [prometheus(f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}{RATE})))",
                       f"{legend}p{share * 100:g}", exemplar=exemplar and share == shares[-1]) for share in shares]


def share_of(part, whole, by):
    """part / whole by labels, 0 if part is missing."""
    whole = f"sum by ({by}) (rate({whole}{RATE}))"
    return f"(sum by ({by}) (rate({part}{RATE})) or 0 * {whole}) / ({whole} > 0)"


def go(uid, why):
    """A link to a dashboard, with the time and the variables of this one."""
    return {"title": f"{why}: {TITLES[uid].split(' / ')[1]}", "type": "link", "icon": "dashboard", "targetBlank": False,
            "url": f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"}


def steps(*steps):
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


GREEN = steps((None, "green"))
NEVER = steps((None, "green"), (1e-9, "red"))  # anything above 0 is wrong


def words(*texts):
    """0, 1, … shown as words."""
    return [{"type": "value", "options": {str(i): {"text": text, "index": i} for i, text in enumerate(texts)}}]


REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
LEGEND = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
OPTIONS = {
    "timeseries": {"legend": LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"reduceOptions": REDUCE, "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto",
             "orientation": "auto", "wideLayout": True},
    "bargauge": {"reduceOptions": REDUCE, "displayMode": "gradient", "orientation": "horizontal", "showUnfilled": True,
                 "valueMode": "color"},
    "heatmap": {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                "exemplars": {"color": "rgba(31,120,193,0.9)"}, "filterValues": {"le": 1e-9}, "legend": {"show": True},
                "rowsFrame": {"layout": "auto"}, "tooltip": {"mode": "single", "yHistogram": True},
                "yAxis": {"axisPlacement": "left", "unit": "s"}},
    "state-timeline": {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "legend": LEGEND,
                       "tooltip": {"mode": "single"}},
    "table": {"showHeader": True, "cellHeight": "sm"},
    "logs": {"showTime": True, "wrapLogMessage": True, "prettifyLogMessage": False, "enableLogDetails": True,
             "dedupStrategy": "none", "sortOrder": "Ascending", "showLabels": False, "showCommonLabels": False},
    "traces": {},
    "nodeGraph": {},
}
SOURCES = {"logs": "loki", "traces": "tempo", "nodeGraph": "tempo"}


def panel(kind, title, description, targets, links, *, unit="none", width=8, height=8, thresholds=GREEN, lines=False,
          stack=False, options=None, overrides=(), transformations=(), **defaults):
    """`lines` draws the thresholds into the graph. `defaults` are additional Grafana field options."""
    targets = targets if isinstance(targets, list) else [targets]
    links = links if isinstance(links, list) else [links]
    field = {"unit": unit, "thresholds": thresholds, "color": {"mode": "thresholds"}, **defaults}
    if kind == "timeseries":
        field["color"] = {"mode": "palette-classic"}
        field["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 8, "showPoints": "never",
                           "stacking": {"mode": "normal" if stack else "none", "group": "A"},
                           "thresholdsStyle": {"mode": "line+area" if lines else "off"}}
        field.setdefault("min", 0)
    field = {name: value for name, value in field.items() if value is not None}
    return {
        "type": kind, "title": title, "description": " ".join(description.split()), "links": links,
        "datasource": targets[0].get("datasource", source(SOURCES.get(kind, "prometheus"))),
        "targets": [{"refId": chr(ord("A") + number), **target} for number, target in enumerate(targets)],
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": field, "overrides": list(overrides)},
        "options": {**OPTIONS[kind], **(options or {})}, "transformations": list(transformations),
    }


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def table_of(*hidden, sort=(), order=(), value=None, **renamed):
    """Transformations that hide the irrelevant columns of a table. `value` is the title of the column of values, if it is shown."""
    hidden = {name: True for name in ("Time", "Value", "__name__", "namespace", "endpoint", "instance", "service", "container",
                                      "prometheus", *hidden)}
    if value:
        del hidden["Value"]
        renamed["Value"] = value
    return [{"id": "organize", "options": {"excludeByName": hidden, "renameByName": renamed,
                                           "indexByName": {name: number for number, name in enumerate(order)}}},
            *({"id": "sortBy", "options": {"sort": [{"field": name}]}} for name in sort)]


def variable(name, label, **more):
    return {"name": name, "label": label, "hide": 0, "skipUrlSync": False, **more}


def placed(panels):
    """Places each panel as far up and then as far left as it fits; panels after a row stay below it."""
    floor = [0] * 24  # the first free line of each column
    for number, one in enumerate(panels, 1):
        size = one["gridPos"]
        y, x = min((max(floor[x:x + size["w"]]), x) for x in range(25 - size["w"]))
        for column in range(24) if one["type"] == "row" else range(x, x + size["w"]):
            floor[column] = y + size["h"]
        yield {"id": number, **one, "gridPos": {**size, "x": x, "y": y}}


def dashboard(uid, description, panels, variables=(), namespaces_of="die_specifications_loaded"):
    """The namespaces to choose from are those of a metric."""
    one_of = {"type": "datasource", "refresh": 1, "regex": "", "multi": False, "includeAll": False}
    namespaces = f"label_values({namespaces_of}, namespace)"
    return {
        "uid": uid, "title": TITLES[uid], "description": description, "tags": [TAG], "schemaVersion": 41, "editable": True,
        "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-30m", "to": "now"}, "timezone": "browser",
        "links": [{"type": "dashboards", "title": "", "tags": [TAG], "asDropdown": False, "includeVars": True, "keepTime": True,
                   "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "annotations": {"list": [{
            "name": "Faults on demand", "enable": True, "iconColor": "red", "datasource": source("prometheus"),
            "expr": f"max by (job) (fault_injection_active{{{OURS}}}) > 0", "titleFormat": "{{job}}: faults are being injected"}, {
            "name": "Telemetry broken", "enable": True, "iconColor": "orange", "datasource": source("prometheus"),
            "expr": f"max by (signal, cause) (telemetry_pipeline_broken{{{NS}}}) > 0", "titleFormat": "{{signal}}: {{cause}}"}]},
        "templating": {"list": [
            variable("prometheus", "Prometheus", query="prometheus", **one_of),
            variable("loki", "Loki", query="loki", **one_of),
            variable("tempo", "Tempo", query="tempo", **one_of),
            variable("namespace", "Namespace", type="query", datasource=source("prometheus"), refresh=2, sort=1, regex="",
                     multi=False, includeAll=False, query={"query": namespaces, "refId": "namespace", "qryType": 1}),
            *variables]},
        "panels": list(placed(panels)),
    }


# --- the dashboards -----------------------------------------------------------------------------------------------------


def overview():
    to_async, to_dependencies, to_resources = (go("dice-async", "Rolls in detail"), go("dice-dependencies", "Find the cause"),
                                               go("dice-resources", "Resource usage"))
    to_pipeline, to_load = go("dice-pipeline", "Does telemetry arrive"), go("dice-load", "Load and replicas")
    budget = "(1 - slo:dice_objective:ratio)"
    burn = f"namespace_slo:dice_requests_bad:ratio_rate%s{{{NS}}} / on (slo) group_left () {budget}"
    rows = [
        row("Now"),
        panel("stat", "Requests", "Requests per second to the frontend, from users and load generation.",
              prometheus(f'sum(namespace_job_route:http_requests:rate5m{{{NS}, job="{FRONTEND}"}})'), to_load,
              unit="reqps", width=4, height=4),
        panel("stat", "Failed", """Fraction of the frontend's requests that failed with 5xx, not counting simulated failures.
              0 is normal; above 0.5 % the error budget is used up too fast.""",
              prometheus(f'sum(namespace_job_route:http_requests_failed:rate5m{{{NS}, job="{FRONTEND}"}}) '
                         f'/ (sum(namespace_job_route:http_requests:rate5m{{{NS}, job="{FRONTEND}"}}) > 0)'), to_dependencies,
              unit="percentunit", width=4, height=4, thresholds=steps((None, "green"), (0.005, "orange"), (0.072, "red"))),
        panel("stat", "Latency of rolls, p95", """95 % of the roll requests take at most this long. A roll takes up to 1 s of
              simulated work, a batch as long as its slowest roll. The objective is 2.5 s.""",
              quantiles("http_request_duration_seconds", ROLLS, 0.95, exemplar=False), to_async,
              unit="s", width=4, height=4, thresholds=steps((None, "green"), (1.5, "orange"), (2.5, "red"))),
        panel("stat", "Concurrent rolls", "Batch rolls in progress right now.",
              prometheus(f"sum(async_rolls_in_progress{{{NS}}})"), to_async, unit="short", width=4, height=4),
        panel("stat", "Pods up", "Fraction of the services' pods that Prometheus can scrape. Below 100 %, at least one is down.",
              prometheus(f"avg(up{{{OURS}}})"), to_resources, unit="percentunit", width=4, height=4,
              thresholds=steps((None, "red"), (1, "green"))),
        panel("stat", "Firing alerts", "Each alert has a runbook and a link to the right dashboard.",
              prometheus(f'count(ALERTS{{{NS}, {OUR_ALERTS}, alertstate="firing"}}) or vector(0)'), [to_dependencies, to_pipeline],
              unit="short", width=4, height=4, thresholds=NEVER),

        row("Objectives: 99.5 % of roll requests succeed, 99 % within 2.5 s, over 30 days"),
        panel("stat", "Error budget left", """The remaining share of the failures that the objectives allow in 30 days, or in the
              retention time of Prometheus. 100 %: nothing failed. Below 0 %: the objective is missed.""",
              prometheus(f"1 - {burn % '30d'}", "{{slo}}"), to_dependencies, unit="percentunit", width=8, height=4,
              thresholds=steps((None, "red"), (0, "orange"), (0.25, "green")), options={"graphMode": "none"}, max=1),
        panel("timeseries", "Burn rate", """How fast the error budget is used up: at 1 it lasts exactly 30 days. An alert fires if the
              1-hour line is above 14.4, the 6-hour line above 6 or the 3-day line above 1, and a shorter window confirms it.""",
              [prometheus(burn % window, f"{{{{slo}}}} {window}") for window in ("1h", "6h", "3d")], to_dependencies,
              width=16, lines=True, thresholds=steps((None, "transparent"), (6, "orange"), (14.4, "red"))),
        panel("stat", "Good requests", "Fraction of roll requests that met each objective over 30 days.",
              prometheus(f"1 - namespace_slo:dice_requests_bad:ratio_rate30d{{{NS}}}", "{{slo}}"), to_dependencies,
              unit="percentunit", width=8, height=4, decimals=3, options={"graphMode": "none"},
              thresholds=steps((None, "red"), (0.99, "orange"), (0.995, "green"))),
        panel("timeseries", "Errors by code", """All error responses. roll_failed and batch_failed are simulated, 4xx codes are client
              errors. All others count against availability.""",
              prometheus(f'sum by (job, error_code) (rate(http_requests_total{{{OURS}, error_code!=""}}{RATE}))',
                         "{{job}} {{error_code}}"), to_dependencies, unit="reqps", width=12),
        panel("table", "Alerts", "Pending and firing alerts. Empty if there are none.",
              prometheus(f"ALERTS{{{NS}, {OUR_ALERTS}}}", instant=True, format="table"), [to_dependencies, to_pipeline], width=12,
              transformations=table_of(sort=["alertname"])),
    ]
    for job, next_link in ((FRONTEND, to_dependencies), (DICE_ROLLER, to_dependencies), (DIE_SERVICE, to_resources)):
        rows += [
            row(f"{job}: rate, errors, duration"),
            panel("timeseries", f"{job}: rate", "Requests per second by route and status, without probes and scrapes.",
                  prometheus(f'sum by (route, status) (rate(http_requests_total{{{NS}, job="{job}", {WORK}}}{RATE}))',
                             "{{route}} {{status}}"), to_async, unit="reqps", stack=True),
            panel("timeseries", f"{job}: errors", """Fraction of a route's requests that failed, without simulated failures (see Errors
                  by code). 0 is normal.""",
                  prometheus(f'namespace_job_route:http_requests_failed_per_http_requests:ratio_rate5m{{{NS}, job="{job}"}}',
                             "{{route}}"), next_link, unit="percentunit", lines=True, max=1,
                  thresholds=steps((None, "transparent"), (0.005, "red"))),
            panel("timeseries", f"{job}: duration", """Time from a request's arrival to its reply. The dots are exemplars: each opens the
                  trace of one request. For rolls, p50 far below p95 is normal: their simulated work is random.""",
                  quantiles("http_request_duration_seconds", f'{NS}, job="{job}", {WORK}', 0.5, 0.95, 0.99), next_link, unit="s",
                  lines=job == FRONTEND, thresholds=steps((None, "transparent"), (2.5, "red"))),
        ]
    rows += [
        row("Deployed"),
        panel("table", "Versions", "Pods of each version. Two versions of a service mean that a rollout is in progress or stuck.",
              prometheus(f"count by (job, version, commit) (dice_build_info{{{OURS}}})", instant=True, format="table"), to_resources,
              width=10, height=7, transformations=table_of(sort=["job"], order=["job", "version", "commit", "Value"], value="pods")),
        panel("timeseries", "p95 by route", "The slowest routes, from recording rules. Steps may show the effect of a deployment.",
              prometheus(f"topk(5, namespace_job_route:http_request_duration_seconds:p95_5m{{{NS}}})", "{{job}} {{route}}"),
              to_resources, unit="s", width=8, height=7),
        panel("stat", "Faults on demand", "ACTIVE: a fault is set by PUT /debug/faults; errors or delays are intended.",
              prometheus(f"max by (job) (fault_injection_active{{{OURS}}})", "{{job}}"), to_dependencies, width=6, height=7,
              thresholds=NEVER, mappings=words("none", "ACTIVE"), options={"graphMode": "none"}),
    ]
    return dashboard("dice-overview", "Rate, errors and duration of the three services, their objectives, and deployed versions.", rows)


def rolling():
    to_overview, to_dependencies, to_resources = (go("dice-overview", "Objectives"),
                                                  go("dice-dependencies", "Find the cause"), go("dice-resources", "Resource usage"))
    to_pipeline, to_load = go("dice-pipeline", "Traces or lines are missing"), go("dice-load", "Load and replicas")
    work = f"rate(async_roll_work_seconds_total{{{NS}}}%s)"
    waited = f"rate(async_roll_duration_seconds_sum{{{NS}}}%s)"
    increase = lambda expr: "sum(" + (expr % RANGE).replace("rate", "increase", 1) + ")"
    finished = f'dice_rolls_total{{{NS}, result=~"success|failure"}}'
    failed = f'dice_rolls_total{{{NS}, result="failure"}}'
    chosen = ("/d/dice-async?${__url_time_range}&${prometheus:queryparam}&${loki:queryparam}&${tempo:queryparam}"
              "&${namespace:queryparam}&var-trace_id=${__value.raw}")
    rows = [
        row("Sync vs. async"),
        panel("timeseries", "Rolls", "Individual rolls per second, as single rolls (sync) and in batches (async), without cancelled ones.",
              prometheus(f'sum by (mode) (rate(dice_rolls_total{{{NS}, result!="cancelled"}}{RATE}))', "{{mode}}"), to_load,
              unit="ops"),
        panel("timeseries", "Roll requests", """Requests forwarded by the frontend. An async request is a whole batch, so few async
              requests cause many rolls.""",
              [prometheus(f"sum(rate(roll_requests_total{{{NS}}}{RATE}))", "single rolls"),
               prometheus(f"sum(rate(async_roll_requests_total{{{NS}}}{RATE}))", "batches")], to_overview, unit="reqps"),
        panel("timeseries", "Latency", """Single rolls (/roll) compared with batches (/roll-async), at the frontend. Because of
              concurrency, a batch of ten takes only slightly longer than one roll. Dots open traces.""",
              quantiles("http_request_duration_seconds", ROLLS, 0.5, 0.95, by="route", legend="{{route}} "), to_overview, unit="s",
              lines=True, thresholds=steps((None, "transparent"), (2.5, "red"))),
        panel("stat", "Time saved by concurrency", """Total duration of the rolls minus the duration of their batches, in the selected
              time range: how much longer the same rolls would have taken sequentially.""",
              prometheus(f"{increase(work)} - {increase(waited)}", instant=True), to_overview, unit="s", width=6,
              height=4, options={"graphMode": "none"}),
        panel("timeseries", "Work and waiting", """Total roll duration and total batch duration, in seconds per second. The gap between the
              lines is the time saved by concurrency.""",
              [prometheus(f"sum({work % RATE})", "work (rolls)"), prometheus(f"sum({waited % RATE})", "waiting (batches)")],
              to_overview, unit="short", width=9),
        panel("timeseries", "Rolls in progress", """Batch rolls in progress at each scrape, in each pod. The admission limit of a pod is
              MAX_ROLL_THREADS (default 1024).""",
              prometheus(f"sum by (pod) (async_rolls_in_progress{{{NS}}})", "{{pod}}"), go("dice-dependencies", "Rejected requests"),
              unit="short", width=9, lines=True, thresholds=steps((None, "transparent"), (1024, "red"))),
        panel("stat", "Speedup", """Total roll duration divided by total batch duration. 1 means sequential. The speedup of a batch of N
              is at most N, and usually less, because the batch waits for its slowest roll.""",
              prometheus(f"{increase(work)} / ({increase(waited)} > 0)", instant=True), to_overview, width=6, height=4, decimals=2,
              thresholds=steps((None, "orange"), (1.5, "green")), options={"graphMode": "none"}),

        row("Batches"),
        panel("heatmap", "Batch duration", """Distribution of batch durations; darker means more batches. Each dot is one batch and opens
              its trace, with a bar for every roll. A second cluster above 1 s: batches with fewer threads than rolls.""",
              prometheus(f"sum by (le) (increase(async_roll_duration_seconds_bucket{{{NS}}}{RATE}))", "{{le}}", exemplar=True,
                         format="heatmap"), to_dependencies, unit="s", width=12),
        panel("timeseries", "Batches by result", """success: all rolls succeeded, or the one that ended the batch. partial: best effort,
              some rolls failed. failure: stopped at the first failure, or all rolls failed. Failures follow the dice's error_rate.""",
              prometheus(f"sum by (result) (rate(async_roll_batches_total{{{NS}}}{RATE}))", "{{result}}"), to_dependencies, unit="reqps",
              width=6, stack=True),
        panel("timeseries", "Batch duration, quantiles", "Median and 95th percentile, without the call to die-service.",
              quantiles("async_roll_duration_seconds", NS, 0.5, 0.95), to_dependencies, unit="s", width=6),
        panel("bargauge", "Batch sizes", "Number of batches by size (up to the number at the bar), in the selected time range.",
              prometheus(f"sum by (le) (increase(async_roll_batch_size_bucket{{{NS}}}{RANGE}))", "{{le}}", instant=True,
                         format="heatmap"), to_overview, unit="short", width=12, decimals=0),
        panel("timeseries", "Rolls per batch", "Batch requests per second by the exact number of rolls.",
              prometheus(f"sum by (batch_size) (rate(async_roll_requests_total{{{NS}}}{RATE}))", "{{batch_size}}"), to_overview,
              unit="reqps", width=12, stack=True),

        row("Dice"),
        panel("bargauge", "Faces", """How often each value was rolled, by die, in the selected time range. The bars of a fair die become
              equally long as the number of rolls grows.""",
              prometheus(f"sum by (die_type, value) (increase(dice_roll_values_total{{{NS}}}{RANGE}))", "{{die_type}} {{value}}",
                         instant=True), to_overview, unit="short", decimals=0,
              options={"reduceOptions": {**REDUCE, "values": True}},
              transformations=[{"id": "reduce", "options": {"reducers": ["lastNotNull"]}},
                               {"id": "sortBy", "options": {"sort": [{"field": "Field"}]}}]),
        panel("timeseries", "Failures by die", """Fraction of finished rolls that failed, and the configured error_rate of the die. The first
              fluctuates around the second.""",
              [prometheus(share_of(failed, finished, "die_type"), "{{die_type}}"),
               prometheus(f"max by (identifier) (die_specifications_error_rate{{{NS}}})", "{{identifier}}: error_rate")], to_dependencies,
              unit="percentunit", max=1),
        panel("timeseries", "Deviation from error_rate", """Deviation of the failures over 30 minutes, in standard errors. Up to 2 is normal
              random variation; above 5 the alert DiceRollFailureRateOff fires.""",
              prometheus(f"namespace_die_type:dice_rolls_failed:standard_errors30m{{{NS}}}", "{{die_type}}"), to_dependencies,
              lines=True, min=None, thresholds=steps((None, "red"), (-5, "transparent"), (5, "red"))),
        panel("timeseries", "Rolls by die and result", """cancelled: stopped early, because another roll of the batch failed or the client
              disconnected. Cancelled rolls are neither successes nor failures.""",
              prometheus(f"sum by (die_type, result) (rate(dice_rolls_total{{{NS}}}{RATE}))", "{{die_type}} {{result}}"), to_resources,
              unit="ops", width=24, height=7, stack=True),

        row("Traces and log lines"),
        panel("table", "Recent batches", """Traces of recent batches. Click an id to show its trace and log lines below; use Explore for
              more.""",
              {"datasource": source("tempo"), "queryType": "traceql", "tableType": "traces", "limit": 20, "query":
               '{ resource.k8s.namespace.name = "$namespace" && resource.service.name = "' + FRONTEND + '" && name = "GET /roll-async" '
               '&& kind = server }'}, [to_overview, to_pipeline], width=24,
              overrides=[{"matcher": {"id": "byName", "options": "traceID"}, "properties": [
                  {"id": "links", "value": [{"title": "Show below", "url": chosen, "targetBlank": False}]}]}]),
        panel("traces", "Selected trace", """Each bar async_roll_… is one roll; overlapping bars ran concurrently. Empty until a trace id is
              selected above.""",
              {"datasource": source("tempo"), "queryType": "traceql", "query": "$trace_id"}, to_dependencies, width=12, height=14),
        panel("logs", "Log lines", """Log lines of the selected trace, from all three services, in order. Without a trace id: of all traces.""",
              {"datasource": source("loki"), "queryType": "range", "maxLines": 200,
               "expr": '{k8s_namespace_name="$namespace"} | trace_id =~ "$trace_id.*"'}, to_dependencies, width=12, height=14),
    ]
    trace = variable("trace_id", "Trace id", type="textbox", query="", options=[], current={"text": "", "value": ""})
    return dashboard("dice-async", "The effect of concurrency: sequential rolls compared with concurrent rolls.", rows, [trace])


def dependencies():
    to_async, to_overview, to_resources = (go("dice-async", "Effect on rolls"), go("dice-overview", "Effect on users"),
                                           go("dice-resources", "Resource usage"))
    to_pipeline, to_load = go("dice-pipeline", "Are spans lost"), go("dice-load", "Load and replicas")
    calls = f"die_service_requests_total{{{NS}}}"
    bad = f'die_service_requests_total{{{NS}, status!~"[2-4].."}}'
    graph = f"client=~{SERVICES}, server=~{SERVICES}"
    edge = "{{client}} → {{server}}"
    tempo_note = "From Tempo's metrics generator, for all namespaces. Empty without it."
    rows = [
        row("dice-roller → die-service"),
        panel("timeseries", "Calls", """Calls per second by outcome: die-service's status, or unavailable (no connection), timeout, invalid
              (invalid response), circuit_open (blocked by the circuit breaker).""",
              prometheus(f"sum by (status) (rate({calls}{RATE}))", "{{status}}"), to_async, unit="reqps", stack=True),
        panel("timeseries", "Errors", """Fraction of calls without a valid response. If it stays above one half for 3 minutes,
              DiceDieServiceUnreachable fires.""",
              prometheus(share_of(bad, calls, "pod"), "{{pod}}"), to_overview, unit="percentunit", lines=True, max=1,
              thresholds=steps((None, "transparent"), (0.5, "red"))),
        panel("timeseries", "Latency", """Duration of the calls, measured by dice-roller (including the network) and by die-service. The
              difference is time spent in the network. Dots open traces.""",
              [prometheus(f'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{{NS}, job="{DIE_SERVICE}", '
                          f'route="/dice/{{identifier}}"}}{RATE})))', "die-service p95"),
               *quantiles("die_service_request_duration_seconds", NS, 0.5, 0.95, 0.99, legend="call ")], to_resources, unit="s",
              lines=True, thresholds=steps((None, "transparent"), (2, "red"))),
        panel("state-timeline", "Circuit breaker", """closed: calls go through. open: die-service failed repeatedly, calls are rejected with
              503. half-open: one call is allowed. The breaker only changes with the next call, so without traffic it stays open.""",
              prometheus(f"max by (pod) (die_service_circuit_breaker_state{{{NS}}})", "{{pod}}"), to_overview, height=7,
              thresholds=steps((None, "green"), (1, "orange"), (2, "red")), mappings=words("closed", "half-open", "open")),
        panel("timeseries", "Rejected requests", """Roll requests rejected by admission control. overloaded: MAX_ROLL_THREADS rolls were in
              progress. rate_limited: more requests per second than RATE_LIMIT_RPS. Empty if nothing was ever rejected.""",
              prometheus(f"sum by (reason) (rate(roll_admission_rejected_total{{{NS}}}{RATE}))", "{{reason}}"), to_load,
              unit="reqps", height=7, lines=True, thresholds=NEVER),
        panel("timeseries", "Requests in progress", """Requests in progress, by service. They grow together if the last service in the chain
              is slow.""",
              prometheus(f"sum by (job) (http_requests_in_progress{{{OURS}, {WORK}}})", "{{job}}"), to_async, unit="short", height=7),

        row(DIE_SERVICE),
        panel("timeseries", "Specification requests", "Requests for specifications, by die. _unknown: dice that do not exist.",
              prometheus(f"sum by (identifier) (rate(die_specifications_requested_total{{{NS}}}{RATE}))", "{{identifier}}"), to_async,
              unit="reqps", height=6),
        panel("timeseries", "List requests", "Each frontend fetches the list every minute, or every second while it has no list.",
              prometheus(f"sum(rate(die_list_requests_total{{{NS}}}{RATE}))", "lists"), to_overview, unit="reqps", height=6),
        panel("stat", "Dice loaded", "Number of dice by pod. If replicas differ, they have loaded different files.",
              prometheus(f"max by (pod) (die_specifications_loaded{{{NS}}})", "{{pod}}"), to_async, unit="short", width=4, height=6,
              thresholds=steps((None, "red"), (1, "green")), options={"graphMode": "none"}),
        panel("stat", "Last reload of the dice file", "FAILED: the dice file is invalid, and the previous dice stay in use. The log has the reason.",
              prometheus(f"min by (pod) (die_specifications_reload_success{{{NS}}})", "{{pod}}"), to_async, width=4, height=6,
              thresholds=steps((None, "red"), (1, "green")), mappings=words("FAILED", "OK"), options={"graphMode": "none"}),

        row("Service graph, from Tempo"),
        panel("nodeGraph", "Service graph", f"Calls between services: rate, latency and fraction of failures. {tempo_note}",
              {"datasource": source("tempo"), "queryType": "serviceMap", "query": "", "serviceMapQuery": f"{{{graph}}}"}, to_pipeline,
              width=12, height=14),
        panel("timeseries", "Calls by edge", f"Calls per second, counted from pairs of spans. {tempo_note}",
              prometheus(f"sum by (client, server) (rate(traces_service_graph_request_total{{{graph}}}{RATE}))", edge), to_async,
              unit="reqps", width=12, height=7),
        panel("timeseries", "Errors by edge", f"Fraction of calls whose span has an error, including simulated errors. {tempo_note}",
              prometheus(share_of(f"traces_service_graph_request_failed_total{{{graph}}}", f"traces_service_graph_request_total{{{graph}}}",
                                  "client, server"), edge), to_overview, unit="percentunit", width=6, height=7, max=1, lines=True,
              thresholds=steps((None, "transparent"), (0.5, "red"))),
        panel("timeseries", "Latency by edge, p95", f"Measured by the called service. {tempo_note}",
              quantiles("traces_service_graph_request_server_seconds", graph, 0.95, by="client, server", legend=edge + " "), to_resources,
              unit="s", width=6, height=7),
        panel("timeseries", "Spans by name", f"Spans per second. A batch of ten rolls has ten spans async_roll_… . {tempo_note}",
              prometheus(f'topk(10, sum by (service, span_name) (rate(traces_spanmetrics_calls_total{{service=~{SERVICES}}}{RATE})))',
                         "{{service}} {{span_name}}"), to_async, unit="ops", width=12),
        panel("timeseries", "Span duration, p95", f"Server spans, by service. {tempo_note}",
              quantiles("traces_spanmetrics_latency", f'service=~{SERVICES}, span_kind="SPAN_KIND_SERVER"', 0.95, by="service",
                        legend="{{service}} "), to_resources, unit="s", width=12),
    ]
    return dashboard("dice-dependencies", "From dice-roller to die-service: calls, circuit breaker, admission, and the service graph.", rows)


def resources():
    to_overview, to_async, to_dependencies = (go("dice-overview", "Effect on users"), go("dice-async", "Threads and rolls"),
                                              go("dice-dependencies", "Calls between services"))
    to_pipeline, to_load = go("dice-pipeline", "Does telemetry arrive"), go("dice-load", "Load and replicas")
    by = "{{pod}}"
    cluster_note = "From kube-state-metrics and cAdvisor. Empty without them."
    each = f'sum by (job, pod) (%s{{{OURS}}}%s)'
    rate_of = lambda metric: f"sum by (job, pod) (rate({metric}{{{OURS}}}{RATE}))"
    containers = f'{NS}, container=~{SERVICES}'
    rows = [
        row("Processes"),
        panel("timeseries", "CPU", "CPU cores in use. Rolls wait rather than compute, so high CPU usage comes from many requests, not from long ones.",
              prometheus(rate_of("process_cpu_seconds_total"), by), [to_overview, to_load], unit="short"),
        panel("timeseries", "Memory", "Resident memory. It grows with the spans kept in memory (TRACE_MEMORY_SPANS), then stays level.",
              prometheus(each % ("process_resident_memory_bytes", ""), by), to_overview, unit="bytes"),
        panel("timeseries", "Threads", """Each roll of a batch uses its own thread while it runs. Idle threads end after 10 s.""",
              prometheus(each % ("process_threads", ""), by), to_async, unit="short"),
        panel("timeseries", "File descriptors", "Fraction of the maximum number of open file descriptors. Near 100 %, connections are refused.",
              prometheus(f"max by (job, pod) (process_open_fds{{{OURS}}} / process_max_fds{{{OURS}}})", by), to_dependencies,
              unit="percentunit", lines=True, max=1, thresholds=steps((None, "transparent"), (0.8, "red"))),
        panel("stat", "Restarts", "Container restarts within the same pod in the selected time range. 0 is normal; a new pod starts at 0.",
              prometheus(f"sum by (job, pod) (changes(process_start_time_seconds{{{OURS}}}{RANGE}))", by, instant=True), to_overview,
              unit="short", thresholds=NEVER, options={"graphMode": "none"}),
        panel("stat", "Uptime", "Age of the most recently started process of each service.",
              prometheus(f"time() - max by (job) (process_start_time_seconds{{{OURS}}})", "{{job}}"), to_overview, unit="s",
              options={"graphMode": "none"}),

        row("Health of the telemetry"),
        panel("timeseries", "Spans exported", "Spans per second accepted by the collector. Follows the traffic.",
              prometheus(rate_of("telemetry_spans_exported_total"), by), to_async, unit="ops", width=6),
        panel("timeseries", "Spans dropped", "Spans lost per second; their traces are incomplete. Must be 0.",
              prometheus(rate_of("telemetry_spans_dropped_total"), by), to_pipeline, unit="ops", width=6, lines=True, thresholds=NEVER),
        panel("timeseries", "Spans queued", """Spans waiting for export, or for a retry while the collector is down or busy. When the
              retry queue (TELEMETRY_RETRY_QUEUE_BYTES) is full, the oldest are dropped.""",
              prometheus(each % ("telemetry_spans_queued", ""), by), to_pipeline, unit="short", width=6, lines=True,
              thresholds=steps((None, "transparent"), (2048, "orange"))),
        panel("timeseries", "Scrape duration", "Duration of Prometheus' scrapes. Slow scrapes usually mean that a pod lacks CPU.",
              prometheus(f"max by (job, pod) (scrape_duration_seconds{{{OURS}}})", by), to_dependencies, unit="s", width=6, lines=True,
              thresholds=steps((None, "transparent"), (1, "red"))),

        row("Containers, from Kubernetes"),
        panel("stat", "Container restarts", f"Restarts in the selected time range, as counted by Kubernetes. {cluster_note}",
              prometheus(f"sum by (pod, container) (increase(kube_pod_container_status_restarts_total{{{containers}}}{RANGE}))",
                         "{{pod}} {{container}}", instant=True), to_overview, unit="short", thresholds=NEVER,
              options={"graphMode": "none"}),
        panel("timeseries", "Memory usage / limit", f"At 100 %, the kernel kills the container. {cluster_note}",
              prometheus(f"max by (pod, container) (container_memory_working_set_bytes{{{containers}}}) / max by (pod, container) "
                         f'(kube_pod_container_resource_limits{{{containers}, resource="memory"}})', "{{pod}} {{container}}"),
              to_overview, unit="percentunit", lines=True, max=1, thresholds=steps((None, "transparent"), (0.9, "red"))),
        panel("timeseries", "CPU usage / request", f"Above 100 %, the container uses more than its request, if the node has spare CPU. {cluster_note}",
              prometheus(f"sum by (pod, container) (rate(container_cpu_usage_seconds_total{{{containers}}}{RATE})) / max by (pod, container) "
                         f'(kube_pod_container_resource_requests{{{containers}, resource="cpu"}})', "{{pod}} {{container}}"),
              to_dependencies, unit="percentunit", lines=True, thresholds=steps((None, "transparent"), (1, "orange"))),
    ]
    return dashboard("dice-resources", "Resource usage of the processes, and the health of their telemetry.", rows)


def pipeline():
    to_overview, to_async, to_dependencies, to_resources, to_load = (
        go("dice-overview", "Alerts"), go("dice-async", "Traces and log lines"), go("dice-dependencies", "Service graph"),
        go("dice-resources", "Exporters and scrapes"), go("dice-load", "Load and replicas"))
    of = lambda name, more="": f"telemetry_pipeline_{name}{{{NS}{more}}}"
    per_signal = lambda name, window="5m": f"sum by (signal) (increase({of(name)}[{window}]))"
    # Nothing is known before the first check has ended.
    state = f"""max by (signal) (1 - {of("complete")} and on (pod) {of("last_check_timestamp_seconds")} > 0
                or {of("broken", ', cause!="late"')} or 0.5 * {of("broken", ', cause="late"')})"""
    states = {"mappings": [{"type": "value", "options": {"0": {"text": "OK", "index": 0}, "0.5": {"text": "late", "index": 1},
                                                         "1": {"text": "BROKEN", "index": 2}}}],
              "thresholds": steps((None, "green"), (0.5, "orange"), (1, "red"))}
    causes = f'max by (signal, cause) ({of("broken")})'
    # The age of the last sample that did not name the cause.
    age = f"""time() - max by (signal, cause) (max_over_time(timestamp({of("broken")} == 0)[6h:30s])) and {causes} == 1
              or 21600 * ({causes} == 1)"""
    delay = lambda window: (f'sum by (signal) (rate({of("delay_seconds_sum")}[{window}])) '
                            f'/ (sum by (signal) (rate({of("delay_seconds_count")}[{window}])) > 0)')
    delays = steps((None, "green"), (45, "orange"), (90, "red"))
    rows = [
        row("Now: what is broken, since when, and why"),
        panel("stat", "Signals", """The last check of each signal. OK: everything arrived, once, in time, as it was sent. late: everything
              arrived, but late. BROKEN: something is missing, duplicated or wrong. Empty: there is no canary, see Last check.""",
              prometheus(state, "{{signal}}", instant=True), [to_resources, to_async], width=14, height=4,
              options={"graphMode": "none", "colorMode": "background", "textMode": "value_and_name"}, **states),
        panel("table", "Broken", """What the last check found. Empty: nothing. The time since the last check that did not find it; 6 h can
              also be longer. What to check: the runbook TelemetryPipelineLost.""",
              prometheus(age, instant=True, format="table"), [to_resources, to_dependencies], unit="s", width=10, height=8,
              decimals=0, transformations=table_of(sort=["signal"], order=["signal", "cause", "Value"], value="for", cause="why"),
              overrides=[{"matcher": {"id": "byName", "options": "why"}, "properties": [{"id": "mappings", "value": [
                  {"type": "value", "options": {cause: {"text": text} for cause, text in CAUSES.items()}}]}]}]),
        panel("stat", "Seconds until complete", """From a response until all of its telemetry was there: the mean of ten minutes. Traces take as
              long as the exporter and the collector wait, metrics as long as the scrape interval.""",
              prometheus(delay("10m"), "{{signal}}", instant=True), to_overview, unit="s", width=14, height=4, thresholds=delays,
              decimals=1, options={"graphMode": "none", "textMode": "value_and_name"}),

        row("History"),
        panel("state-timeline", "Signals over time", "The state of each signal. Gaps: the canary did not run, or was not scraped.",
              prometheus(state, "{{signal}}"), to_overview, width=12, height=7, **states),
        panel("state-timeline", "Causes over time", "When the checks named a cause, from the first time on. Empty: never in this time.",
              prometheus(f'{causes} and on (signal, cause) max by (signal, cause) (max_over_time({of("broken")}{RANGE})) == 1',
                         "{{signal}}: {{cause}}"), to_resources, width=12, height=7,
              thresholds=steps((None, "transparent"), (1, "red")), mappings=words("", "broken")),
        panel("timeseries", "Seconds until complete, over time", """The mean of five minutes. Slow growth: a queue on the way grows. A signal
              without a line is not complete; see Broken.""",
              prometheus(delay("5m"), "{{signal}}"), to_load, unit="s", width=12, lines=True,
              thresholds=steps((None, "transparent"), (45, "orange"))),
        panel("timeseries", "Not there yet", """Spans, log lines and counters that the current check still waits for. Peaks are normal: one for
              each check. They are lost only if they are still missing at the end of the check.""",
              prometheus(f'sum by (signal) ({of("pending")})', "{{signal}}"), to_resources, unit="short", width=12),

        row("What arrives"),
        panel("timeseries", "Arrived", """Fraction of the expected spans (traces), log lines (logs) and counters (metrics) that arrived, over
              five minutes. Below 100 %, the same fraction of everybody's telemetry may be missing.""",
              prometheus(f'{per_signal("found_total")} / ({per_signal("expected_total")} > 0)', "{{signal}}"), to_resources,
              unit="percentunit", min=None, max=1),
        panel("timeseries", "Missing", "Number of items that were missing at the end of their check, over five minutes. Must be 0.",
              prometheus(per_signal("missing_total"), "{{signal}}"), to_resources, unit="short", lines=True, thresholds=NEVER),
        panel("timeseries", "Duplicated and wrong", """Items that arrived more than once, or that differ from what was sent, over five minutes.
              Must be 0.""",
              [prometheus(per_signal("duplicated_total"), "{{signal}} duplicated"), prometheus(per_signal("wrong_total"), "{{signal}} wrong")],
              to_resources, unit="short", lines=True, thresholds=NEVER),

        row("The canary"),
        panel("stat", "Last check", """Time since the last check ended. After five minutes, TelemetryPipelineUnchecked fires. A check takes at
              most two minutes, if something is missing.""",
              prometheus(f'time() - max({of("last_check_timestamp_seconds")})', instant=True), to_overview, unit="s", width=4, height=7,
              thresholds=steps((None, "green"), (150, "orange"), (300, "red")), options={"graphMode": "none"}),
        panel("stat", "Alerts about telemetry", "Firing alerts of the pipeline. Each has a runbook.",
              prometheus(f'count(ALERTS{{{NS}, alertname=~"TelemetryPipeline.*", alertstate="firing"}}) or vector(0)'), to_overview,
              unit="short", width=4, height=7, thresholds=NEVER),
        panel("timeseries", "Checks", """Checks per minute by result. unreachable: the frontend did not answer. Fewer than two per minute: checks
              that wait for something missing take longer.""",
              prometheus(f'60 * sum by (result) (rate({of("checks_total")}[5m]))', "{{result}}"), to_dependencies, unit="short",
              width=5, height=7, stack=True),
        panel("timeseries", "Load of the canary", "Spans, log lines and counters per minute that the canary's own requests create and check.",
              prometheus(f'60 * sum by (signal) (rate({of("expected_total")}[5m]))', "{{signal}}"), to_load, unit="short", width=6, height=7),
        panel("timeseries", "Memory of the canary", "Resident memory. It does not grow with time.",
              prometheus(f'sum by (pod) (process_resident_memory_bytes{{{NS}, job="canary"}})', "{{pod}}"), to_resources, unit="bytes",
              width=5, height=7),
    ]
    return dashboard("dice-pipeline", "Whether traces, logs and metrics arrive, how long they take, and where they get lost.", rows,
                     namespaces_of="telemetry_pipeline_last_check_timestamp_seconds")


def load():
    to_overview, to_async, to_dependencies, to_resources, to_pipeline = (
        go("dice-overview", "Objectives"), go("dice-async", "Rolls in detail"), go("dice-dependencies", "Rejected requests"),
        go("dice-resources", "Resource usage"), go("dice-pipeline", "Does telemetry keep up"))
    sent = f"rate(loadgen_requests_total{{{NS}}}{RATE})"
    unexpected = f'rate(loadgen_requests_total{{{NS}, error_code!~"|roll_failed|batch_failed"}}{RATE})'
    duration = "loadgen_request_duration_seconds"
    work = f"sum by (job) (rate(http_requests_total{{{OURS}, {WORK}}}{RATE}))"
    pods = f"count by (job) (up{{{OURS}}} == 1)"
    loadgen_note = "Empty while loadgen does not run."
    rows = [
        row("Load"),
        panel("stat", "Target", f"Requests per second that loadgen is to send, all pods together. 0: as fast as the users are. {loadgen_note}",
              prometheus(f"sum(loadgen_target_rate{{{NS}}})"), to_overview, unit="reqps", width=4, height=4),
        panel("stat", "Sent", f"Requests per second that were answered or failed. Should be the target. {loadgen_note}",
              prometheus(f"sum({sent})"), to_overview, unit="reqps", width=4, height=4),
        panel("stat", "Unexpected failures", f"Fraction of the requests that failed, without the dice that fail on purpose. {loadgen_note}",
              prometheus(f"(sum({unexpected}) or vector(0)) / (sum({sent}) > 0)"), to_dependencies, unit="percentunit",
              width=4, height=4, thresholds=NEVER),
        panel("stat", "Latency, p95", f"""From the moment a request was due, including the time it waited to be sent. The objective is 2.5 s.
              {loadgen_note}""", quantiles(duration, NS, 0.95, exemplar=False), to_async, unit="s", width=4, height=4,
              thresholds=steps((None, "green"), (1.5, "orange"), (2.5, "red"))),
        panel("stat", "In flight", f"Requests sent and not answered yet. {loadgen_note}",
              prometheus(f"sum(loadgen_requests_in_flight{{{NS}}})"), to_dependencies, unit="short", width=4, height=4),
        panel("stat", "Pods of loadgen", f"Each sends its part of the load. {loadgen_note}",
              prometheus(f"count(loadgen_info{{{NS}}})"), to_resources, unit="short", width=4, height=4),
        panel("timeseries", "Rate", """Requests per second: the target, what loadgen sent, and what the frontend answered to everybody. Sent below
              the target: all workers are waiting. Answered above sent: there are other users.""",
              [prometheus(f"sum(loadgen_target_rate{{{NS}}})", "target"), prometheus(f"sum({sent})", "sent"),
               prometheus(f'sum(rate(http_requests_total{{{NS}, job="{FRONTEND}", {WORK}}}{RATE}))', "answered by the frontend")],
              to_overview, unit="reqps"),
        panel("timeseries", "Latency of the load", """Measured by loadgen, from the moment a request was due, and by the frontend, from its arrival.
              If they move apart, requests wait outside: for a worker, a connection or the network.""",
              [*quantiles(duration, NS, 0.5, 0.95, 0.99, legend="loadgen ", exemplar=False),
               *quantiles("http_request_duration_seconds", ROLLS, 0.95, legend="frontend ")], to_async, unit="s", lines=True,
              thresholds=steps((None, "transparent"), (2.5, "red"))),
        panel("timeseries", "Errors seen by loadgen", """By code. roll_failed and batch_failed are simulated. overloaded and rate_limited: more load
              than the services admit.""",
              prometheus(f'sum by (error_code) (rate(loadgen_requests_total{{{NS}, error_code!=""}}{RATE}))', "{{error_code}}"),
              to_dependencies, unit="reqps", stack=True),

        row("Effect"),
        panel("timeseries", "Pods", "Pods of each service that can be scraped.", prometheus(pods, "{{job}}"), to_resources, unit="short",
              decimals=0),
        panel("timeseries", "Requests by service", "Requests per second, without probes and scrapes.", prometheus(work, "{{job}}"),
              to_overview, unit="reqps"),
        panel("timeseries", "Requests per pod", "Requests per second and pod. The autoscalers of frontend and die-service keep it at their target.",
              prometheus(f"{work} / {pods}", "{{job}}"), to_resources, unit="reqps"),
        panel("timeseries", "Rolls at work", """Rolls at work in each pod of dice-roller. The autoscaler keeps them below 70 % of
              MAX_ROLL_THREADS; at MAX_ROLL_THREADS, requests are rejected. If the pods differ, load is not spread evenly.""",
              prometheus(f"sum by (pod) (roll_admission_in_use{{{NS}}})", "{{pod}}"), to_async, unit="short"),
        panel("timeseries", "Rolls finished", "Rolls per second that succeeded or failed on purpose, of all pods.",
              prometheus(f'sum by (mode) (rate(dice_rolls_total{{{NS}, result!="cancelled"}}{RATE}))', "{{mode}}"), to_async, unit="ops",
              stack=True),
        panel("timeseries", "Rejected", """Requests rejected by admission control. They add pods, if dice-roller is scaled automatically. Empty if
              nothing was ever rejected.""",
              prometheus(f"sum by (reason) (rate(roll_admission_rejected_total{{{NS}}}{RATE}))", "{{reason}}"), to_dependencies,
              unit="reqps", lines=True, thresholds=NEVER),
        panel("timeseries", "CPU by service", "CPU cores in use, all pods of a service together.",
              prometheus(f"sum by (job) (rate(process_cpu_seconds_total{{{OURS}}}{RATE}))", "{{job}}"), to_resources, unit="short"),
        panel("timeseries", "Spans", "Spans per second exported and dropped, all pods together. Dropped must be 0.",
              [prometheus(f"sum(rate(telemetry_spans_exported_total{{{OURS}}}{RATE}))", "exported"),
               prometheus(f"sum(rate(telemetry_spans_dropped_total{{{OURS}}}{RATE}))", "dropped")], to_pipeline, unit="ops"),
        panel("timeseries", "Pods wanted by the autoscaler", "From kube-state-metrics. Empty without it, and without autoscaling.",
              prometheus(f"max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_desired_replicas{{{NS}}})",
                         "{{horizontalpodautoscaler}}"), to_resources, unit="short", decimals=0),

        row("Parts"),
        panel("timeseries", "Rate of each part", "Requests per second sent by each pod of loadgen. They should be equal.",
              prometheus(f"sum by (part) (sum by (namespace, pod) ({sent}) * on (namespace, pod) group_left (part) loadgen_info{{{NS}}})",
                         "part {{part}}"), to_resources, unit="reqps", width=12),
        panel("timeseries", "In flight of each part", "Requests sent and not answered yet, by pod of loadgen.",
              prometheus(f"sum by (pod) (loadgen_requests_in_flight{{{NS}}})", "{{pod}}"), to_resources, unit="short", width=12),
    ]
    return dashboard("dice-load", "The load that loadgen sends, and its effect on the services.", rows)


def render():
    """{file: text}"""
    return {HERE / f"{made['uid'].removeprefix('dice-')}.json": json.dumps(made, indent=1, ensure_ascii=False) + "\n"
            for made in (overview(), rolling(), dependencies(), resources(), pipeline(), load())}


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text)
