"""Evaluates every PromQL expression of the project in a real Prometheus that scrapes the three services under load, the load
generator and the canary.

Queries that are normally empty are listed in CONDITIONS: they must be empty at first and have data once the condition is met.
"""

import re
import subprocess
import urllib.error
import urllib.request

import pytest
import queries
import yaml
from live import NAMESPACE, RANGE, RATE_INTERVAL, Live, eventually
from queries import UPSTREAM, fill

DEADLINE = 90  # DiceTargetDown alone waits for a minute


def another_canary(live):
    """It says what is hard to bring about here."""
    broken = {"traces_lost": "traces", "late": "metrics", "duplicated": "logs", "wrong": "traces", "unreachable": "answers"}
    live.says("canary", "elsewhere", "telemetry_pipeline_last_check_timestamp_seconds 1\n" + "".join(
        f'telemetry_pipeline_broken{{signal="{signal}",cause="{cause}"}} 1\n' for cause, signal in broken.items()))


def faults(live):
    live.fault("frontend", error_rate=0.9)


def faults_over(live):
    live.fault("frontend")


def turned_away(live):
    live.system.restart("dice-roller", {"RATE_LIMIT_RPS": 1})


def turned_away_over(live):
    live.system.restart("dice-roller", {"RATE_LIMIT_RPS": 0})


def spans_refused(live):
    live.collector.refuses = True


def spans_refused_over(live):
    live.collector.refuses = False


def bad_file(live):
    live.dice.write_text("fair: {faces: []}\n")


def bad_file_over(live):
    live.dice.write_text((queries.ROOT / "services/die-service/dice.yaml").read_text())


def another_error_rate(live):
    """A die whose rolls should all fail, but do not."""
    live.another_die_service("risky: {faces: [1], error_rate: 1}\n", "elsewhere")


def outage(live):
    live.system.stop_one("die-service")


def outage_over(live):
    live.system.start_one("die-service")


# What causes the condition, what ends it, and the queries that are empty before: a pattern for "where: expression".
CONDITIONS = [
    (another_canary, None,
     r'pipeline.yaml: TelemetryPipeline(Late|Duplicated|Wrong|Unchecked|Lost: .*=~"spans_dropped)|\(telemetry_pipeline_broken\) == 1'),
    (spans_refused, spans_refused_over,
     r"alerts.yaml: DiceTelemetryDropped|pipeline.yaml: TelemetryPipelineLost|annotation Telemetry broken|dice-overview: Alerts:|"
     r"dice-pipeline: (Broken|Causes over time):"),
    (faults, faults_over, r"annotation Faults on demand|alerts.yaml: DiceErrorBudgetBurn|Burn.md: sum by"),
    (turned_away, turned_away_over, r"roll_admission_rejected_total"),
    (bad_file, bad_file_over, r"alerts.yaml: DiceSpecificationsReloadFailed"),
    (another_error_rate, None, r"alerts.yaml: DiceRollFailureRateOff"),
    (outage, outage_over, r"alerts.yaml: Dice(TargetDown|BreakerOpen|DieServiceUnreachable)"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with Live(tmp_path_factory.mktemp("live")) as live:
        yield live


def declared(query):
    return next((number for number, (_, _, pattern) in enumerate(CONDITIONS) if re.search(pattern, f"{query.where}: {query.expr}")), None)


def wait_for_data(live, wanted, because):
    empty = list(wanted)

    def all_have_data():
        empty[:] = [query for query in empty if not live.samples(query.expr)]
        return not empty

    eventually(lambda: f"data, {because}, for\n" + "\n".join(f"{query.where}: {query.expr}" for query in empty), DEADLINE, all_have_data)


def check_annotations(live, names):
    """Prometheus expands the alerts' texts; a template error appears in them."""
    def active():
        return [one for one in live.api("alerts")["alerts"] if one["labels"]["alertname"] in names]

    eventually(f"active: {names}", DEADLINE, lambda: {one["labels"]["alertname"] for one in active()} == names)
    for one in active():
        for name in ("summary", "description"):
            text = one["annotations"][name]
            assert text and not re.search(r"<no value>|\{\{|<error", text), text


def trace(live, trace_id):
    try:
        with urllib.request.urlopen(f"{live.system.url('frontend')}/api/traces/{trace_id}", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError:
        return ""


def test_exemplars_open_traces(live):
    """The traces that the exemplars link to exist."""
    wanted = [(board["uid"], panel["title"], target["expr"]) for board in queries.dashboards() for panel in board["panels"]
              for target in panel.get("targets", []) if target.get("exemplar") and not UPSTREAM.search(target["expr"])]
    assert len(wanted) >= 6
    for where, title, expr in wanted:
        def opens():
            series = live.api("query_exemplars", query=fill(expr, NAMESPACE, RATE_INTERVAL, RANGE), start="0", end="9999999999")
            labels = [exemplar["labels"] for one in series for exemplar in one["exemplars"]]
            return labels and labels[-1]["span_id"] in trace(live, labels[-1]["trace_id"])

        eventually(f"an exemplar whose trace has its span, for {where}: {title}", DEADLINE, opens)


def autoscaling_queries():
    """[(service, trigger's name, query)] of the chart's ScaledObjects."""
    helm = subprocess.run([queries.ROOT / "tools/go-tool.sh", "helm"], capture_output=True, text=True)
    if helm.returncode != 0:
        pytest.skip(f"no helm: {helm.stderr.strip()}")
    rendered = subprocess.run(
        [helm.stdout.strip(), "template", "dice", queries.ROOT / "charts/dice", "--namespace", NAMESPACE, "--kube-version", "1.34.0",
         "--set", "autoscaling.enabled=true,telemetry.prometheusUrl=http://prometheus:9090"], capture_output=True, text=True, check=True)
    return [(one["metadata"]["labels"]["app.kubernetes.io/component"], trigger["name"], trigger["metadata"]["query"])
            for one in yaml.safe_load_all(rendered.stdout) if one and one["kind"] == "ScaledObject" for trigger in one["spec"]["triggers"]]


def test_autoscaling_reads_the_load(live):
    """Each query has exactly one value, which follows the load."""
    found = autoscaling_queries()
    assert {(service, name) for service, name, _ in found} == {
        ("frontend", "requests"), ("dice-roller", "rolls"), ("dice-roller", "rejections"), ("die-service", "requests")}
    for service, name, query in found:
        eventually(f"one value above 0 of {service}'s {name}: {query}", DEADLINE,
                   lambda: [value > 0 for value in live.samples(query).values()] == [True])


def test_loadgen_serves_what_is_written_down(live):
    """queries.LOADGEN, with which the dashboards are compared."""
    with urllib.request.urlopen(live.urls["loadgen"] + "/metrics", timeout=10) as answer:
        served = dict(re.findall(r"^# TYPE (\S+) (\S+)$", answer.read().decode(), re.MULTILINE))
    # The contract has the rest.
    assert {name: kind for name, kind in served.items() if not name.startswith(("process_", "dice_build_info"))} == queries.LOADGEN


def test_every_query_returns_data(live, capsys):
    promql = [query for query in queries.every() if query.language == "promql"]
    upstream = [query for query in promql if queries.on_cluster_only(query)]
    ours = [query for query in promql if query not in upstream]
    for query in upstream:
        live.samples(query.expr)  # at least, it is valid

    wait_for_data(live, [query for query in ours if declared(query) is None], "while all is well")
    filled = [query for query in ours if declared(query) is None]
    for number, (make, end, _) in enumerate(CONDITIONS):
        wanted = [query for query in ours if declared(query) == number]
        assert wanted, f"nothing waits for {make.__name__}"
        before = [query for query in wanted if live.samples(query.expr)]
        assert not before, f"not empty before {make.__name__}: {before}"
        make(live)
        wait_for_data(live, wanted, f"after {make.__name__}")
        check_annotations(live, {query.where.split(": ")[1] for query in wanted if re.match("rules/(alerts|pipeline)", query.where)})
        filled += wanted
        if end:
            end(live)
    assert len(filled) == len(ours)
    with capsys.disabled():
        print(f"\nPromQL: {len(promql)} queries, {len(filled)} with data, {sum(declared(query) is not None for query in ours)} of them "
              f"under {len(CONDITIONS)} conditions; {len(upstream)} for the cluster, read without a mistake")
