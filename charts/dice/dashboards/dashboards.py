#!/usr/bin/env python3
"""Writes the dashboards beside this file, as Grafana reads them. A test fails when they are out of date.

Generated, so that queries, units, links and variables are the same everywhere and the layout needs no arithmetic. Python's
own library is enough for that. The tests read the result with Grafana's own schema.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "tools"))

import contract  # noqa: E402

FRONTEND, DICE_ROLLER, DIE_SERVICE = contract.services()
TITLES = {"dice-overview": "Dice / Overview", "dice-async": "Dice / Async rolling",
          "dice-dependencies": "Dice / Dependencies", "dice-resources": "Dice / Resources"}
TAG = "dice"

NS = 'namespace="$namespace"'
OURS = f'{NS}, job=~"{FRONTEND}|{DICE_ROLLER}|{DIE_SERVICE}"'
WORK = 'route!~"/healthz|/readyz|/metrics|/debug/.*"'  # no probes and scrapes, as in rules/red.yaml
ROLLS = f'{NS}, job="{FRONTEND}", route=~"/roll|/roll-async"'
RATE, RANGE = "[$__rate_interval]", "[$__range]"
SERVICES = f'"{FRONTEND}|{DICE_ROLLER}|{DIE_SERVICE}"'  # Tempo's metrics know the services' names, not the namespace


# --- what panels are made of --------------------------------------------------------------------------------------------


def source(kind):
    """The data source that the viewer chose."""
    return {"type": kind, "uid": "${" + kind + "}"}


def prometheus(expr, legend="", instant=False, exemplar=False, format="time_series"):
    return {"datasource": source("prometheus"), "editorMode": "code", "expr": " ".join(expr.split()), "legendFormat": legend,
            "range": not instant, "instant": instant, "exemplar": exemplar, "format": format}


def quantiles(metric, selector, *shares, by="", legend="", exemplar=True):
    """One target for each share; the exemplars come with the last."""
    labels = ", ".join(filter(None, ["le", by]))
    return [prometheus(f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}{RATE})))",
                       f"{legend}p{share * 100:g}", exemplar=exemplar and share == shares[-1]) for share in shares]


def share_of(part, whole, by):
    """part / whole by labels, 0 where there is none of part."""
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
    """`lines` draws the thresholds into the graph. `defaults` are more of Grafana's field options."""
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


def table_of(*hidden, sort=()):
    """Transformations that leave a table only the columns that say something."""
    hidden = {name: True for name in ("Time", "Value", "__name__", "namespace", "endpoint", "instance", "service", "container",
                                      "prometheus", *hidden)}
    return [{"id": "organize", "options": {"excludeByName": hidden, "renameByName": {}, "indexByName": {}}},
            *({"id": "sortBy", "options": {"sort": [{"field": name}]}} for name in sort)]


def variable(name, label, **more):
    return {"name": name, "label": label, "hide": 0, "skipUrlSync": False, **more}


def placed(panels):
    """Each as high up as it fits, and then as far left; below a row stays below it."""
    floor = [0] * 24  # the first free line of each column
    for number, one in enumerate(panels, 1):
        size = one["gridPos"]
        y, x = min((max(floor[x:x + size["w"]]), x) for x in range(25 - size["w"]))
        for column in range(24) if one["type"] == "row" else range(x, x + size["w"]):
            floor[column] = y + size["h"]
        yield {"id": number, **one, "gridPos": {**size, "x": x, "y": y}}


def dashboard(uid, description, panels, variables=()):
    one_of = {"type": "datasource", "refresh": 1, "regex": "", "multi": False, "includeAll": False}
    namespaces = "label_values(die_specifications_loaded, namespace)"
    return {
        "uid": uid, "title": TITLES[uid], "description": description, "tags": [TAG], "schemaVersion": 41, "editable": True,
        "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-30m", "to": "now"}, "timezone": "browser",
        "links": [{"type": "dashboards", "title": "", "tags": [TAG], "asDropdown": False, "includeVars": True, "keepTime": True,
                   "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "annotations": {"list": [{
            "name": "Faults on demand", "enable": True, "iconColor": "red", "datasource": source("prometheus"),
            "expr": f"max by (job) (fault_injection_active{{{OURS}}}) > 0", "titleFormat": "{{job}}: faults are being injected"}]},
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
    to_async, to_dependencies, to_resources = (go("dice-async", "How the rolls go"), go("dice-dependencies", "Who is to blame"),
                                               go("dice-resources", "What it runs on"))
    budget = "(1 - slo:dice_objective:ratio)"
    burn = f"namespace_slo:dice_requests_bad:ratio_rate%s{{{NS}}} / on (slo) group_left () {budget}"
    rows = [
        row("Now"),
        panel("stat", "Requests", "Requests a second that the frontend answers: what people and load ask for.",
              prometheus(f'sum(namespace_job_route:http_requests:rate5m{{{NS}, job="{FRONTEND}"}})'), to_async,
              unit="reqps", width=4, height=4),
        panel("stat", "Failed", """Share of the frontend's requests that an outage failed: 5xx, but for failures that a die
              is asked to have. 0 is right; from 0.5 % on the budget of the objective shrinks.""",
              prometheus(f'sum(namespace_job_route:http_requests_failed:rate5m{{{NS}, job="{FRONTEND}"}}) '
                         f'/ (sum(namespace_job_route:http_requests:rate5m{{{NS}, job="{FRONTEND}"}}) > 0)'), to_dependencies,
              unit="percentunit", width=4, height=4, thresholds=steps((None, "green"), (0.005, "orange"), (0.072, "red"))),
        panel("stat", "Latency of rolls, p95", """95 % of the rolls are answered within this. A roll has up to 1 s of simulated
              work, a batch as much as its slowest roll. 2.5 s is the objective.""",
              quantiles("http_request_duration_seconds", ROLLS, 0.95, exemplar=False), to_async,
              unit="s", width=4, height=4, thresholds=steps((None, "green"), (1.5, "orange"), (2.5, "red"))),
        panel("stat", "Rolls at the same time", "Rolls of batches that are at work right now: concurrency itself.",
              prometheus(f"sum(async_rolls_in_progress{{{NS}}})"), to_async, unit="short", width=4, height=4),
        panel("stat", "Pods that answer", "Share of the services' pods that Prometheus can scrape. Less than 100 %: one is down.",
              prometheus(f"avg(up{{{OURS}}})"), to_resources, unit="percentunit", width=4, height=4,
              thresholds=steps((None, "red"), (1, "green"))),
        panel("stat", "Alerts that fire", "Each has a runbook and says which dashboard to look at.",
              prometheus(f'count(ALERTS{{{NS}, alertname=~"Dice.*", alertstate="firing"}}) or vector(0)'), to_dependencies,
              unit="short", width=4, height=4, thresholds=NEVER),

        row("Objectives: 99.5 % of the rolls are answered, 99 % within 2.5 s, over 30 days"),
        panel("stat", "Error budget left", """What is left of the failures that the objectives allow in 30 days, or in the time
              that Prometheus remembers. 100 %: nothing failed. Below 0 %: the objective is missed.""",
              prometheus(f"1 - {burn % '30d'}", "{{slo}}"), to_dependencies, unit="percentunit", width=8, height=4,
              thresholds=steps((None, "red"), (0, "orange"), (0.25, "green")), options={"graphMode": "none"}, max=1),
        panel("timeseries", "Burn rate", """How fast the budget is used up: at 1 it lasts exactly 30 days. Alerts fire when the
              1-hour line is above 14.4, the 6-hour line above 6, the 3-day line above 1, and a shorter window agrees.""",
              [prometheus(burn % window, f"{{{{slo}}}} {window}") for window in ("1h", "6h", "3d")], to_dependencies,
              width=16, lines=True, thresholds=steps((None, "transparent"), (6, "orange"), (14.4, "red"))),
        panel("stat", "Good requests", "Share of the rolls that met each objective in 30 days.",
              prometheus(f"1 - namespace_slo:dice_requests_bad:ratio_rate30d{{{NS}}}", "{{slo}}"), to_dependencies,
              unit="percentunit", width=8, height=4, decimals=3, options={"graphMode": "none"},
              thresholds=steps((None, "red"), (0.99, "orange"), (0.995, "green"))),
        panel("timeseries", "Errors by code", """Every answer that was an error. roll_failed and batch_failed are simulated and no
              outage; 4xx codes are the client's own. All others count against availability.""",
              prometheus(f'sum by (job, error_code) (rate(http_requests_total{{{OURS}, error_code!=""}}{RATE}))',
                         "{{job}} {{error_code}}"), to_dependencies, unit="reqps", width=12),
        panel("table", "Alerts", "Pending and firing alerts. None: nothing is known to be wrong.",
              prometheus(f'ALERTS{{{NS}, alertname=~"Dice.*"}}', instant=True, format="table"), to_dependencies, width=12,
              transformations=table_of(sort=["alertname"])),
    ]
    for job, next_link in ((FRONTEND, to_dependencies), (DICE_ROLLER, to_dependencies), (DIE_SERVICE, to_resources)):
        rows += [
            row(f"{job}: rate, errors, duration"),
            panel("timeseries", f"{job}: rate", "Requests a second by route and status. Probes and scrapes are left out.",
                  prometheus(f'sum by (route, status) (rate(http_requests_total{{{NS}, job="{job}", {WORK}}}{RATE}))',
                             "{{route}} {{status}}"), to_async, unit="reqps", stack=True),
            panel("timeseries", f"{job}: errors", """Share of a route's requests that an outage failed. Simulated failures are left
                  out: see Errors by code. Flat at 0 is right.""",
                  prometheus(f'namespace_job_route:http_requests_failed_per_http_requests:ratio_rate5m{{{NS}, job="{job}"}}',
                             "{{route}}"), next_link, unit="percentunit", lines=True, max=1,
                  thresholds=steps((None, "transparent"), (0.005, "red"))),
            panel("timeseries", f"{job}: duration", """From a request's arrival to its reply. The dots are exemplars: one opens the
                  trace of that very request. p50 far below p95 is normal for rolls: their work is drawn by chance.""",
                  quantiles("http_request_duration_seconds", f'{NS}, job="{job}", {WORK}', 0.5, 0.95, 0.99), next_link, unit="s",
                  lines=job == FRONTEND, thresholds=steps((None, "transparent"), (2.5, "red"))),
        ]
    rows += [
        row("Deployed"),
        panel("table", "Versions", "What is deployed, pod by pod. Two versions of a service: a rollout is under way, or is stuck.",
              prometheus(f"dice_build_info{{{OURS}}}", instant=True, format="table"), to_resources, width=10, height=7,
              transformations=table_of(sort=["job"])),
        panel("timeseries", "p95 by route", "The slowest routes, as recorded every evaluation. Steps show a deployment's effect.",
              prometheus(f"topk(5, namespace_job_route:http_request_duration_seconds:p95_5m{{{NS}}})", "{{job}} {{route}}"),
              to_resources, unit="s", width=8, height=7),
        panel("stat", "Faults on demand", "ACTIVE: somebody set a fault with PUT /debug/faults, and errors or delays are wanted.",
              prometheus(f"max by (job) (fault_injection_active{{{OURS}}})", "{{job}}"), to_dependencies, width=6, height=7,
              thresholds=NEVER, mappings=words("none", "ACTIVE"), options={"graphMode": "none"}),
    ]
    return dashboard("dice-overview", "Rate, errors and duration of the three services, their objectives, and what is deployed.", rows)


def rolling():
    to_overview, to_dependencies, to_resources = (go("dice-overview", "Does it keep its promises"),
                                                  go("dice-dependencies", "What holds it up"), go("dice-resources", "What it costs"))
    work = f"rate(async_roll_work_seconds_total{{{NS}}}%s)"
    waited = f"rate(async_roll_duration_seconds_sum{{{NS}}}%s)"
    increase = lambda expr: "sum(" + (expr % RANGE).replace("rate", "increase", 1) + ")"
    finished = f'dice_rolls_total{{{NS}, result=~"success|failure"}}'
    failed = f'dice_rolls_total{{{NS}, result="failure"}}'
    chosen = ("/d/dice-async?${__url_time_range}&${prometheus:queryparam}&${loki:queryparam}&${tempo:queryparam}"
              "&${namespace:queryparam}&var-trace_id=${__value.raw}")
    rows = [
        row("Sync against async"),
        panel("timeseries", "Rolls", "Single rolls a second, one at a time (sync) and in batches (async). Cancelled ones left out.",
              prometheus(f'sum by (mode) (rate(dice_rolls_total{{{NS}, result!="cancelled"}}{RATE}))', "{{mode}}"), to_overview,
              unit="ops"),
        panel("timeseries", "Requests for rolls", """What the frontend passed on: an async request is a whole batch. Many rolls from
              few async requests is what batches are for.""",
              [prometheus(f"sum(rate(roll_requests_total{{{NS}}}{RATE}))", "single rolls"),
               prometheus(f"sum(rate(async_roll_requests_total{{{NS}}}{RATE}))", "batches")], to_overview, unit="reqps"),
        panel("timeseries", "Latency", """One roll (/roll) against a batch (/roll-async), as the frontend answers them. A batch of ten
              takes little longer than one roll: that is concurrency. Dots open traces.""",
              quantiles("http_request_duration_seconds", ROLLS, 0.5, 0.95, by="route", legend="{{route}} "), to_overview, unit="s",
              lines=True, thresholds=steps((None, "transparent"), (2.5, "red"))),
        panel("stat", "Time that concurrency saved", """The rolls' work added up, less the time that their batches took. So much longer
              would the same rolls have taken one after another. In the time shown.""",
              prometheus(f"{increase(work)} - {increase(waited)}", instant=True), to_overview, unit="s", width=6,
              height=4, options={"graphMode": "none"}),
        panel("timeseries", "Work and waiting", """Seconds of rolls' work in each second, and seconds that batches took. The gap between
              the lines is what concurrency saves.""",
              [prometheus(f"sum({work % RATE})", "work, roll by roll"), prometheus(f"sum({waited % RATE})", "waited, batch by batch")],
              to_overview, unit="short", width=9),
        panel("timeseries", "Rolls in progress", """Rolls of batches at work at the moment of each scrape. The admission limit is
              MAX_ROLL_THREADS, 1024 unless set.""",
              prometheus(f"sum by (pod) (async_rolls_in_progress{{{NS}}})", "{{pod}}"), go("dice-dependencies", "Is any turned away"),
              unit="short", width=9, stack=True, lines=True, thresholds=steps((None, "transparent"), (1024, "red"))),
        panel("stat", "Speedup", """Work of the rolls for each second of their batches. 1: one after another. A batch of N can't be
              more than N times as fast, and by chance is less: it waits for its slowest roll.""",
              prometheus(f"{increase(work)} / ({increase(waited)} > 0)", instant=True), to_overview, width=6, height=4, decimals=2,
              thresholds=steps((None, "orange"), (1.5, "green")), options={"graphMode": "none"}),

        row("Batches"),
        panel("heatmap", "Batch duration", """How many batches took how long. Darker: more of them. Each dot is one batch: it opens its
              trace, with a bar for every roll. A second cloud above 1 s: batches with fewer threads than rolls.""",
              prometheus(f"sum by (le) (increase(async_roll_duration_seconds_bucket{{{NS}}}{RATE}))", "{{le}}", exemplar=True,
                         format="heatmap"), to_dependencies, unit="s", width=12),
        panel("timeseries", "Batches by result", """success: all rolls came. partial: best effort, some failed. failure: stopped at
              the first failure, or none came. Failures follow the dice's error_rate.""",
              prometheus(f"sum by (result) (rate(async_roll_batches_total{{{NS}}}{RATE}))", "{{result}}"), to_dependencies, unit="reqps",
              width=6, stack=True),
        panel("timeseries", "Batch duration, quantiles", "Median and 95 % of the batches, without the call to die-service.",
              quantiles("async_roll_duration_seconds", NS, 0.5, 0.95), to_dependencies, unit="s", width=6),
        panel("bargauge", "Batch sizes", "How many batches had how many rolls, up to the number at the bar, in the time shown.",
              prometheus(f"sum by (le) (increase(async_roll_batch_size_bucket{{{NS}}}{RANGE}))", "{{le}}", instant=True,
                         format="heatmap"), to_overview, unit="short", width=12, decimals=0),
        panel("timeseries", "Rolls asked for in a batch", "Batches a second by the exact number of rolls that was asked for.",
              prometheus(f"sum by (batch_size) (rate(async_roll_requests_total{{{NS}}}{RATE}))", "{{batch_size}}"), to_overview,
              unit="reqps", width=12, stack=True),

        row("Dice"),
        panel("bargauge", "Faces", """How often each value came, by die, in the time shown. A fair die's bars grow equally long; with
              few rolls they can't be yet.""",
              prometheus(f"sum by (die_type, value) (increase(dice_roll_values_total{{{NS}}}{RANGE}))", "{{die_type}} {{value}}",
                         instant=True), to_overview, unit="short", decimals=0,
              options={"reduceOptions": {**REDUCE, "values": True}},
              transformations=[{"id": "reduce", "options": {"reducers": ["lastNotNull"]}},
                               {"id": "sortBy", "options": {"sort": [{"field": "Field"}]}}]),
        panel("timeseries", "Failures by die", """Share of the finished rolls that failed, and the share that should by the die's own
              error_rate. The first dances around the second.""",
              [prometheus(share_of(failed, finished, "die_type"), "{{die_type}}"),
               prometheus(f"max by (identifier) (die_specifications_error_rate{{{NS}}})", "{{identifier}}: error_rate")], to_dependencies,
              unit="percentunit", max=1),
        panel("timeseries", "Distance from error_rate", """By how many standard errors the failures of 30 minutes are off. Within 2 is
              everyday chance, beyond 5 is none: the alert DiceRollFailureRateOff.""",
              prometheus(f"namespace_die_type:dice_rolls_failed:standard_errors30m{{{NS}}}", "{{die_type}}"), to_dependencies,
              lines=True, min=None, thresholds=steps((None, "red"), (-5, "transparent"), (5, "red"))),
        panel("timeseries", "Rolls by die and result", """cancelled: stopped early, because another roll of the batch failed. They are
              neither a success nor a failure.""",
              prometheus(f"sum by (die_type, result) (rate(dice_rolls_total{{{NS}}}{RATE}))", "{{die_type}} {{result}}"), to_resources,
              unit="ops", width=24, height=7, stack=True),

        row("Traces and log lines"),
        panel("table", "Recent batches", """Traces of the last batches. A click on an id shows that trace and its lines below; Explore
              has more.""",
              {"datasource": source("tempo"), "queryType": "traceql", "tableType": "traces", "limit": 20, "query":
               '{ resource.k8s.namespace.name = "$namespace" && resource.service.name = "' + FRONTEND + '" && name = "GET /roll-async" '
               '&& kind = server }'}, to_overview, width=24,
              overrides=[{"matcher": {"id": "byName", "options": "traceID"}, "properties": [
                  {"id": "links", "value": [{"title": "Show below", "url": chosen, "targetBlank": False}]}]}]),
        panel("traces", "The chosen trace", """Every bar async_roll_… is one roll: side by side they ran at the same time. Empty until
              a trace id is chosen above.""",
              {"datasource": source("tempo"), "queryType": "traceql", "query": "$trace_id"}, to_dependencies, width=12, height=14),
        panel("logs", "Log lines", """Of the chosen trace, from all three services, in order. Without a trace id: of every one.""",
              {"datasource": source("loki"), "queryType": "range", "maxLines": 200,
               "expr": '{k8s_namespace_name="$namespace"} | trace_id =~ "$trace_id.*"'}, to_dependencies, width=12, height=14),
    ]
    trace = variable("trace_id", "Trace id", type="textbox", query="", options=[], current={"text": "", "value": ""})
    return dashboard("dice-async", "What concurrency does: rolls one by one against rolls at the same time.", rows, [trace])


def dependencies():
    to_async, to_overview, to_resources = (go("dice-async", "What it does to rolls"), go("dice-overview", "Does anybody notice"),
                                           go("dice-resources", "Does it lack anything"))
    calls = f"die_service_requests_total{{{NS}}}"
    bad = f'die_service_requests_total{{{NS}, status!~"[2-4].."}}'
    graph = f"client=~{SERVICES}, server=~{SERVICES}"
    edge = "{{client}} → {{server}}"
    tempo_note = "From Tempo's metrics generator, which does not tell namespaces apart. Empty without it."
    rows = [
        row("dice-roller → die-service"),
        panel("timeseries", "Calls", """Calls a second by outcome: die-service's status, or unavailable (nobody there), timeout, invalid
              (not understood), circuit_open (not even made).""",
              prometheus(f"sum by (status) (rate({calls}{RATE}))", "{{status}}"), to_async, unit="reqps", stack=True),
        panel("timeseries", "Errors", """Share of the calls without a proper answer. Above half for 3 minutes:
              DiceDieServiceUnreachable fires.""",
              prometheus(share_of(bad, calls, "pod"), "{{pod}}"), to_overview, unit="percentunit", lines=True, max=1,
              thresholds=steps((None, "transparent"), (0.5, "red"))),
        panel("timeseries", "Latency", """Of the calls as dice-roller sees them, with the network, and as die-service sees them. A gap
              between the two is the way, not the work. Dots open traces.""",
              [prometheus(f'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{{NS}, job="{DIE_SERVICE}", '
                          f'route="/dice/{{identifier}}"}}{RATE})))', "die-service p95"),
               *quantiles("die_service_request_duration_seconds", NS, 0.5, 0.95, 0.99, legend="call ")], to_resources, unit="s",
              lines=True, thresholds=steps((None, "transparent"), (2, "red"))),
        panel("state-timeline", "Circuit breaker", """closed: calls go through. open: die-service kept failing, calls are answered 503 at
              once. half-open: one call tries. It stays open until the next call, so without traffic it does not close.""",
              prometheus(f"max by (pod) (die_service_circuit_breaker_state{{{NS}}})", "{{pod}}"), to_overview, height=7,
              thresholds=steps((None, "green"), (1, "orange"), (2, "red")), mappings=words("closed", "half-open", "open")),
        panel("timeseries", "Turned away", """Roll requests rejected by admission control. overloaded: MAX_ROLL_THREADS rolls were at work.
              rate_limited: more requests than RATE_LIMIT_RPS. Nothing is shown where nothing was ever turned away.""",
              prometheus(f"sum by (reason) (rate(roll_admission_rejected_total{{{NS}}}{RATE}))", "{{reason}}"), to_resources,
              unit="reqps", height=7, lines=True, thresholds=NEVER),
        panel("timeseries", "Requests in progress", """Requests being answered, by service. They grow together when the last in the
              chain is slow.""",
              prometheus(f"sum by (job) (http_requests_in_progress{{{OURS}, {WORK}}})", "{{job}}"), to_async, unit="short", height=7),

        row(DIE_SERVICE),
        panel("timeseries", "Specifications asked for", "By die. _unknown: names that no die has.",
              prometheus(f"sum by (identifier) (rate(die_specifications_requested_total{{{NS}}}{RATE}))", "{{identifier}}"), to_async,
              unit="reqps", height=6),
        panel("timeseries", "Lists asked for", "Each frontend asks once a minute, and each second while it has no list.",
              prometheus(f"sum(rate(die_list_requests_total{{{NS}}}{RATE}))", "lists"), to_overview, unit="reqps", height=6),
        panel("stat", "Dice in force", "By pod. Replicas that differ have read different files.",
              prometheus(f"max by (pod) (die_specifications_loaded{{{NS}}})", "{{pod}}"), to_async, unit="short", width=4, height=6,
              thresholds=steps((None, "red"), (1, "green")), options={"graphMode": "none"}),
        panel("stat", "Last reading of the file", "FAILED: the file of dice is bad, the old dice stay in force. The log says why.",
              prometheus(f"min by (pod) (die_specifications_reload_success{{{NS}}})", "{{pod}}"), to_async, width=4, height=6,
              thresholds=steps((None, "red"), (1, "green")), mappings=words("FAILED", "good"), options={"graphMode": "none"}),

        row("Service graph, from Tempo"),
        panel("nodeGraph", "Service graph", f"Who calls whom, how often, how slowly, and what share fails. {tempo_note}",
              {"datasource": source("tempo"), "queryType": "serviceMap", "query": "", "serviceMapQuery": f"{{{graph}}}"}, to_overview,
              width=12, height=14),
        panel("timeseries", "Calls by edge", f"Calls a second, counted from pairs of spans. {tempo_note}",
              prometheus(f"sum by (client, server) (rate(traces_service_graph_request_total{{{graph}}}{RATE}))", edge), to_async,
              unit="reqps", width=12, height=7),
        panel("timeseries", "Errors by edge", f"Share of the calls whose span has an error, simulated ones included. {tempo_note}",
              prometheus(share_of(f"traces_service_graph_request_failed_total{{{graph}}}", f"traces_service_graph_request_total{{{graph}}}",
                                  "client, server"), edge), to_overview, unit="percentunit", width=6, height=7, max=1, lines=True,
              thresholds=steps((None, "transparent"), (0.5, "red"))),
        panel("timeseries", "Latency by edge, p95", f"As the called service answered. {tempo_note}",
              quantiles("traces_service_graph_request_server_seconds", graph, 0.95, by="client, server", legend=edge + " "), to_resources,
              unit="s", width=6, height=7),
        panel("timeseries", "Spans by name", f"Spans a second. Ten rolls in a batch are ten spans async_roll_… . {tempo_note}",
              prometheus(f'topk(10, sum by (service, span_name) (rate(traces_spanmetrics_calls_total{{service=~{SERVICES}}}{RATE})))',
                         "{{service}} {{span_name}}"), to_async, unit="ops", width=12),
        panel("timeseries", "Span duration, p95", f"By service, of the spans that answer a request. {tempo_note}",
              quantiles("traces_spanmetrics_latency", f'service=~{SERVICES}, span_kind="SPAN_KIND_SERVER"', 0.95, by="service",
                        legend="{{service}} "), to_resources, unit="s", width=12),
    ]
    return dashboard("dice-dependencies", "From dice-roller to die-service: calls, breaker, admission, and the graph of all services.", rows)


def resources():
    to_overview, to_async, to_dependencies = (go("dice-overview", "Does anybody notice"), go("dice-async", "What the threads are for"),
                                              go("dice-dependencies", "What waits for what"))
    by = "{{pod}}"
    cluster_note = "From kube-state-metrics and cAdvisor. Empty where they are off."
    each = f'sum by (job, pod) (%s{{{OURS}}}%s)'
    rate_of = lambda metric: f"sum by (job, pod) (rate({metric}{{{OURS}}}{RATE}))"
    containers = f'{NS}, container=~{SERVICES}'
    rows = [
        row("Processes"),
        panel("timeseries", "CPU", "Cores in use. Rolls wait rather than compute: a busy core comes from many requests, not from long ones.",
              prometheus(rate_of("process_cpu_seconds_total"), by), to_overview, unit="short"),
        panel("timeseries", "Memory", "Resident. It grows to a level with the spans kept in memory (TRACE_MEMORY_SPANS), then stays.",
              prometheus(each % ("process_resident_memory_bytes", ""), by), to_overview, unit="bytes"),
        panel("timeseries", "Threads", """Every roll of a batch has a thread of its own while it runs. Threads without work end after
              10 s.""",
              prometheus(each % ("process_threads", ""), by), to_async, unit="short"),
        panel("timeseries", "File descriptors", "Share of those that may be open. Near 100 % connections are refused.",
              prometheus(f"max by (job, pod) (process_open_fds{{{OURS}}} / process_max_fds{{{OURS}}})", by), to_dependencies,
              unit="percentunit", lines=True, max=1, thresholds=steps((None, "transparent"), (0.8, "red"))),
        panel("stat", "Restarts", "Starts of a container in the same pod in the time shown. 0 is right; a new pod starts at 0.",
              prometheus(f"sum by (job, pod) (changes(process_start_time_seconds{{{OURS}}}{RANGE}))", by, instant=True), to_overview,
              unit="short", thresholds=NEVER, options={"graphMode": "none"}),
        panel("stat", "Up since", "Age of the youngest process of each service.",
              prometheus(f"time() - max by (job) (process_start_time_seconds{{{OURS}}})", "{{job}}"), to_overview, unit="s",
              options={"graphMode": "none"}),

        row("The telemetry's own health"),
        panel("timeseries", "Spans exported", "Spans a second that the collector took. Follows the traffic.",
              prometheus(rate_of("telemetry_spans_exported_total"), by), to_async, unit="ops", width=6),
        panel("timeseries", "Spans dropped", "Spans a second that are lost, and with them parts of traces. Must be 0.",
              prometheus(rate_of("telemetry_spans_dropped_total"), by), to_overview, unit="ops", width=6, lines=True, thresholds=NEVER),
        panel("timeseries", "Spans that wait", """For the exporter, or for the collector's answer. At OTEL_BSP_MAX_QUEUE_SIZE, 2048 unless
              set, more are dropped.""",
              prometheus(each % ("telemetry_spans_queued", ""), by), to_overview, unit="short", width=6, lines=True,
              thresholds=steps((None, "transparent"), (2048, "red"))),
        panel("timeseries", "Scrape duration", "How long Prometheus waits for the metrics. Slow scrapes come from a pod short of CPU.",
              prometheus(f"max by (job, pod) (scrape_duration_seconds{{{OURS}}})", by), to_dependencies, unit="s", width=6, lines=True,
              thresholds=steps((None, "transparent"), (1, "red"))),

        row("Containers, from Kubernetes"),
        panel("stat", "Container restarts", f"Restarts in the time shown, those with a new process included. {cluster_note}",
              prometheus(f"sum by (pod, container) (increase(kube_pod_container_status_restarts_total{{{containers}}}{RANGE}))",
                         "{{pod}} {{container}}", instant=True), to_overview, unit="short", thresholds=NEVER,
              options={"graphMode": "none"}),
        panel("timeseries", "Memory of its limit", f"At 100 % the kernel ends the container. {cluster_note}",
              prometheus(f"max by (pod, container) (container_memory_working_set_bytes{{{containers}}}) / max by (pod, container) "
                         f'(kube_pod_container_resource_limits{{{containers}, resource="memory"}})', "{{pod}} {{container}}"),
              to_overview, unit="percentunit", lines=True, max=1, thresholds=steps((None, "transparent"), (0.9, "red"))),
        panel("timeseries", "CPU of its request", f"Above 100 % it takes more than it asked for, while the node has some. {cluster_note}",
              prometheus(f"sum by (pod, container) (rate(container_cpu_usage_seconds_total{{{containers}}}{RATE})) / max by (pod, container) "
                         f'(kube_pod_container_resource_requests{{{containers}, resource="cpu"}})', "{{pod}} {{container}}"),
              to_dependencies, unit="percentunit", lines=True, thresholds=steps((None, "transparent"), (1, "orange"))),
    ]
    return dashboard("dice-resources", "What the processes use, and whether their telemetry gets through.", rows)


def render():
    """{file: text}"""
    return {HERE / f"{made['uid'].removeprefix('dice-')}.json": json.dumps(made, indent=1, ensure_ascii=False) + "\n"
            for made in (overview(), rolling(), dependencies(), resources())}


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text)
