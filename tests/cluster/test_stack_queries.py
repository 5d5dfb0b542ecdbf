"""All queries, with the real Loki, Tempo and Prometheus; dashboards; and the alerts of a real outage."""

import json
import pathlib
import sys
import time
import urllib.parse

import pytest

from cluster import (MONITORING, NAMESPACE, REPLICAS, ROOT, TEMPO, URL, WITH_STACK, Job, get, install, kubectl, objects, query, scale,
                     spans_of, wait_for, whole)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "dashboards"))
import queries  # noqa: E402

OUTAGE = "die-service is gone"
# Exactly the alerts expected when die-service has no pod.
FOLLOW = {"DiceTargetDown", "DiceBreakerOpen", "DiceDieServiceUnreachable", "DiceErrorBudgetBurn"}
# The alert for an error budget ends only when the outage is outside its windows.
RECOVER = FOLLOW - {"DiceErrorBudgetBurn"}


def on_cluster_only(one):
    return one.language != "promql" or any(queries.UPSTREAM.fullmatch(name) for name in queries.metrics_of(one.expr))


SHIPPED = sorted({(one.language, one.expr): one for one in queries.every() if on_cluster_only(one)}.values())


@pytest.fixture(scope="module", autouse=True)
def load(stack):
    """Rolls continuously; failures are ignored."""
    job = Job("load", "traffic", "--url", URL, "--rate", 5, "--duration", 1800, "--expect",
              "roll_failed,batch_failed,circuit_open,downstream_unavailable,downstream_timeout")
    job.wait_until_running()
    yield job
    kubectl("delete", "job", "load", "--cascade=foreground", "--wait")


def result(one, backends, trace_id):
    """The result; empty if there is none."""
    text = queries.fill(one.expr, NAMESPACE, trace_id=trace_id)
    now = int(time.time())
    span = {"start": now - 1800, "end": now}
    if one.language == "promql":
        return query(backends["prometheus"], text)
    if one.language == "trace":
        return spans_of(backends["tempo"], trace_id)
    if one.language == "logql":
        path, parameters = f"{backends['loki']}/loki/api/v1/query_range", {"query": text, **span, "step": 60, "limit": 10}
    elif "| rate(" in text or "_over_time(" in text:
        path, parameters = f"{backends['tempo']}/api/metrics/query_range", {"q": text, **span, "step": "60s"}
    else:
        path, parameters = f"{backends['tempo']}/api/search", {"q": text, **span, "limit": 10}
    status, body, _ = get(f"{path}?{urllib.parse.urlencode(parameters)}")
    assert status == 200, f"{text}: {status} {body}"
    answer = json.loads(body)
    return answer["data"]["result"] if one.language == "logql" else answer.get("series") or answer.get("traces")


def all_have_data(wanted, backends, batch, seconds):
    empty = list(wanted)

    def none_is_empty():
        empty[:] = [one for one in empty if not result(one, backends, batch)]
        assert not empty, [f"{one.where}: {one.expr}" for one in empty]
        return True
    wait_for("every query has data", none_is_empty, seconds)


def test_every_query_has_data(backends, batch, say):
    wanted = [one for one in SHIPPED if not queries.filled_when(one)]
    all_have_data(wanted, backends, batch, 180)
    counts = {language: sum(one.language == language for one in wanted) for language in ("logql", "traceql", "promql")}
    say("queries with data: " + ", ".join(f"{count} {language}" for language, count in counts.items()))


def test_dashboards_are_there_for_the_sidecar(stack, say):
    found = objects("configmaps", "--selector", "grafana_dashboard=1")
    boards = {json.loads(text)["uid"]: json.loads(text) for one in found for text in one["data"].values()}
    assert set(boards) == {one["uid"] for one in queries.dashboards()}
    for board in boards.values():
        for link in (part.split("/d/")[1].split("?")[0].split("/")[0] for part in json.dumps(board).split('"') if "/d/dice-" in part):
            assert link in boards, f"{board['uid']} links to {link}"
    say(f"dashboards by label: {', '.join(sorted(boards))}")


def alerts(backends, states=("firing",)):
    """The names of our alerts in one of these states. Of the error budget only the alert with the shortest window, because the
    others can still fire because of an earlier run."""
    active = json.loads(get(f"{backends['prometheus']}/api/v1/alerts")[1])["data"]["alerts"]
    return {one["labels"]["alertname"] for one in active
            if one["state"] in states and one["labels"].get("namespace") == NAMESPACE and one["labels"]["alertname"].startswith("Dice")
            and one["labels"].get("window", "1h") == "1h"}


def test_an_outage_fires_its_alerts_and_recovery_resolves_them(backends, batch, say):
    # Alerts caused by earlier tests may still be active: some look back 5 minutes.
    wait_for("no alert is on its way", lambda: not alerts(backends, ("pending", "firing")), 480)
    start = time.monotonic()
    scale("die-service", 0)
    seen = {}

    def all_fire():
        for name in alerts(backends) - set(seen):
            seen[name] = time.monotonic() - start
        return FOLLOW <= set(seen)
    try:
        wait_for("the outage's alerts fire", all_fire, 420)
        all_have_data([one for one in SHIPPED if queries.filled_when(one) == OUTAGE], backends, batch, 60)
    finally:
        say("die-service at 0 replicas fires " + ", ".join(f"{name} after {seconds:.0f} s" for name, seconds in seen.items()))
        scale("die-service", REPLICAS)
    assert set(seen) == FOLLOW
    wait_for("die-service is ready", lambda: whole("die-service"), 60)
    _, took = wait_for("they are resolved", lambda: not alerts(backends) & RECOVER, 300)
    say(f"resolved {took:.0f} s after it is ready again; still told: {', '.join(sorted(alerts(backends))) or 'none'}")
    assert alerts(backends) <= FOLLOW


def test_a_bad_file_of_dice(backends, batch, tmp_path, say):
    bad = tmp_path / "dice.yaml"
    bad.write_text("fair: {faces: []}\n")
    install(*WITH_STACK, "--set-file", f"dieService.specificationsFile={bad}")
    wanted = [one for one in SHIPPED if queries.filled_when(one) == "the file of dice is bad"]
    assert wanted
    all_have_data(wanted, backends, batch, 180)
    install(*WITH_STACK)
    say("a bad file of dice is in the logs")


def test_a_collector_that_refuses_spans(backends, batch, say):
    """Tempo's port for queries, which answers 404. A collector that is away only delays spans."""
    install(*WITH_STACK, "--set", f"telemetry.otlpEndpoint=http://{TEMPO}.{MONITORING}.svc:3200")
    wanted = [one for one in SHIPPED if queries.filled_when(one) == "the collector refuses spans"]
    assert wanted
    all_have_data(wanted, backends, batch, 180)
    install(*WITH_STACK)
    say("refused spans are in the logs")


def test_nothing_is_left_out():
    # Autoscaling is a test of its own, in chaos/.
    known = {None, OUTAGE, "the file of dice is bad", "the collector refuses spans", "autoscaling is on"}
    assert {queries.filled_when(one) for one in SHIPPED} <= known
    assert len(SHIPPED) > 20 and ROOT.is_dir()
