"""Every query of the dashboards, rules and documents, for the tests here and on the cluster."""

import json
import pathlib
import re
from typing import NamedTuple

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "charts/dice/dashboards").glob("*.json"))
RULES = sorted((ROOT / "charts/dice/rules").glob("*.yaml"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Metrics of Tempo, kube-state-metrics and cAdvisor, which only a cluster has.
UPSTREAM = re.compile(r"traces_(spanmetrics|service_graph)_\w+|kube_\w+|container_\w+")
# Metrics of Prometheus itself.
PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS"}
# {metric: type} of loadgen traffic. Those of the services and of the canary are in the contract.
LOADGEN = {
    "loadgen_requests_total": "counter", "loadgen_request_duration_seconds": "histogram", "loadgen_requests_in_flight": "gauge",
    "loadgen_target_rate": "gauge", "loadgen_info": "gauge",
}

# Queries for the cluster that normally find nothing: a part of the expression, and when there is data.
EMPTY_WHILE_WELL = {
    "Die specifications not reloaded": "the file of dice is bad",
    "Span export failed": "the collector refuses spans",
    "downstream_|circuit_open": "die-service is gone",
    "span.error.type !=": "die-service is gone",
    "kube_horizontalpodautoscaler_": "autoscaling is on",
}

FENCE = re.compile(r"^```(promql|logql|traceql)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The words in PromQL other than metric names, without strings, selectors, ranges and lists of labels.
NOT_METRICS = {"and", "or", "unless", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "inf", "nan"}


class Query(NamedTuple):
    where: str
    language: str  # promql, logql, traceql; trace: `expr` is a trace id
    expr: str


def fill(expr, namespace, rate_interval="1m", range="30m", trace_id=""):
    """The expression with Grafana's variables replaced."""
    for name, value in {"__rate_interval": rate_interval, "__range": range, "namespace": namespace, "trace_id": trace_id}.items():
        expr = expr.replace(f"${name}", value)
    return expr


def without_strings(expr):
    return re.sub(r'"(?:[^"\\]|\\.)*"', "", expr)


def metrics_of(expr):
    """The names of the metrics in a PromQL expression."""
    expr = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", without_strings(expr))
    expr = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", expr)
    names = re.findall(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])", expr)
    return {name for name in names if name.lower() not in NOT_METRICS}


def dashboards():
    return [json.loads(path.read_text()) for path in DASHBOARDS]


def of_target(where, target):
    if "expr" in target:
        yield Query(where, {"prometheus": "promql", "loki": "logql"}[target["datasource"]["type"]], target["expr"])
    elif target["queryType"] == "serviceMap":  # Grafana asks Prometheus for the metrics of the graph
        for metric in ("traces_service_graph_request_total", "traces_service_graph_request_server_seconds_sum"):
            yield Query(where, "promql", metric + target["serviceMapQuery"])
    else:
        yield Query(where, "trace" if target["query"] == "$trace_id" else "traceql", target["query"])


def of_dashboards():
    for board in dashboards():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield from of_target(f"{board['uid']}: {panel['title']}", target)
        for one in board["templating"]["list"]:
            if one["type"] == "query":  # label_values(metric, label)
                yield Query(f"{board['uid']}: variable {one['name']}", "promql", one["query"]["query"].split("(")[1].split(",")[0])
        for one in board["annotations"]["list"]:
            yield Query(f"{board['uid']}: annotation {one['name']}", "promql", one["expr"])


def rules():
    """(file's name, rule), alerts and recordings."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path.name, rule


def of_rules():
    for name, rule in rules():
        yield Query(f"rules/{name}: {rule.get('alert') or rule['record']}", "promql", rule["expr"])


def of_documents():
    for path in DOCUMENTS:
        for language, text in FENCE.findall(path.read_text()):
            yield Query(str(path.relative_to(ROOT)), language, " ".join(text.split()))


def filled_when(query):
    """The condition under which a query for the cluster has data; None if it always has data under load."""
    return next((condition for part, condition in EMPTY_WHILE_WELL.items() if part in query.expr), None)


def on_cluster_only(query):
    return query.language != "promql" or any(UPSTREAM.fullmatch(name) for name in metrics_of(query.expr))


def every():
    return [*of_dashboards(), *of_rules(), *of_documents()]
