"""The chart with the stack of stack/: traces, logs and metrics through the whole pipeline."""

import json
import re
import time
import urllib.parse

import pytest

from cluster import (COLLECTOR, LOKI, METRICS, MONITORING, NAMESPACE, REPLICAS, SERVICES, TEMPO, URL, Job, get, helm_test, objects,
                     query, run, spans_of, wait_for, whole)

pytestmark = pytest.mark.usefixtures("stack")


def test_a_batch_of_ten_in_tempo(stack, backends, batch, say):
    def all_there():
        names = [span["name"] for span in spans_of(backends["tempo"], batch)]
        assert len(names) == 15, names
        return True
    wait_for("Tempo has 15 spans", all_there, 60)
    say(f"from helm install to the first whole trace in Tempo: {time.monotonic() - stack:.1f} s")


def test_its_lines_in_loki(backends, batch, say):
    # Ten rolls, the start and end of the batch, and the access log lines of three services.
    text = f'{{k8s_namespace_name="{NAMESPACE}"}} | trace_id = "{batch}"'
    parameters = urllib.parse.urlencode({"query": text, "limit": 100, "since": "10m"})

    def lines():
        result = json.loads(get(f"{backends['loki']}/loki/api/v1/query_range?{parameters}")[1])["data"]["result"]
        return [line for stream in result for _, line in stream["values"]]
    _, took = wait_for("Loki has 15 lines", lambda: len(lines()) == 15, 60)
    assert sum("Async roll completed" in line for line in lines()) == 10
    say(f"its 15 log lines in Loki after {took:.1f} s more")


def test_every_target_is_up(backends, say):
    def up():
        found = query(backends["prometheus"], f'sum by (job) (up{{namespace="{NAMESPACE}"}})')
        return {one["metric"]["job"]: int(one["value"][1]) for one in found}
    _, took = wait_for("all pods of the three services are scraped", lambda: {name: up()[name] for name in SERVICES} ==
                       dict.fromkeys(SERVICES, REPLICAS), 120)
    # A cluster's own rules may block node exporters; all other targets must be up.
    down = [one["metric"] for one in query(backends["prometheus"], "up == 0")]
    say(f"all targets of the three services are up after {took:.0f} s more; down elsewhere: {down or 'none'}")
    assert not down


def test_helm_test_passes_with_all_signals(backends, say):
    output = helm_test()
    for line in output.splitlines():
        if re.match(r"(answers|traces|logs|metrics|correlation) |All passed", line):
            say("helm test: " + line)
    for signal in ("answers", "traces", "logs", "metrics", "correlation"):
        assert re.search(rf"^{signal} ", output, re.MULTILINE), output
    assert "not checked" not in output


def test_the_job_completes(say):
    def done():
        return [one for one in objects("jobs", "--selector", "app.kubernetes.io/component=loadgen")
                if one["status"].get("succeeded") and "ownerReferences" not in one["metadata"]]
    jobs, _ = wait_for("the Job completes", done, 180)
    say(f"{jobs[0]['metadata']['name']} completed")


def test_the_cronjob_leaves_a_trace_of_its_own(backends, say):
    def done():
        return [one for one in objects("jobs") if one["status"].get("succeeded") and "ownerReferences" in one["metadata"]]
    wait_for("the CronJob's Job completes", done, 240)
    parameters = urllib.parse.urlencode({"q": '{resource.service.name="loadgen"}', "limit": 5})

    def traces():
        return json.loads(get(f"{backends['tempo']}/api/search?{parameters}")[1])["traces"]
    found, _ = wait_for("Tempo finds a trace of loadgen", traces, 60)
    spans = spans_of(backends["tempo"], found[0]["traceID"])
    assert len(spans) > 1, "the load generator's span has no children"
    say(f"the CronJob's Job completed and left a trace of {len(spans)} spans")


def test_a_collector_at_0_replicas_is_named(say):
    scale = ("kubectl", "--namespace", MONITORING, "scale", "deployment", COLLECTOR)
    run(*scale, "--replicas=0")
    try:
        run("kubectl", "--namespace", MONITORING, "wait", "--for=delete", "pod", "--selector",
            f"app.kubernetes.io/instance={COLLECTOR}", "--timeout=90s")
        code, output = Job("verify", "verify", "--shared", "--deadline", 20, LOADGEN_URL=URL,
                           LOADGEN_TEMPO=f"http://{TEMPO}.{MONITORING}.svc:3200", LOADGEN_METRICS=METRICS,
                           LOADGEN_LOKI=f"http://{LOKI}.{MONITORING}.svc:3100").result(120)
    finally:
        run(*scale, "--replicas=1")
        run("kubectl", "--namespace", MONITORING, "rollout", "status", "deployment", COLLECTOR, "--timeout=120s")
    causes = [line for line in output.splitlines() if "CAUSE" in line]
    assert code == 1, output
    assert any("collector" in line.lower() for line in causes), output
    say(causes[0])


def test_memory_of_each_release(backends, say):
    text = 'sum by (namespace, pod) (container_memory_working_set_bytes{container!="", namespace=~"%s|%s"})'
    used = query(backends["prometheus"], text % (NAMESPACE, MONITORING))
    assert used, "no working sets: is the kubelet scraped?"
    releases = {one["metadata"]["name"]: one["metadata"]["labels"].get("app.kubernetes.io/instance", "other")
                for namespace in (NAMESPACE, MONITORING)
                for one in json.loads(run("kubectl", "--namespace", namespace, "get", "pods", "--output", "json"))["items"]}
    sums = {}
    for one in used:
        release = releases.get(one["metric"]["pod"], "gone")
        sums[release] = sums.get(release, 0) + float(one["value"][1]) / 2**20
    say("working sets: " + ", ".join(f"{name} {size:.0f} MiB" for name, size in sorted(sums.items())))
    assert sums["dice"] < len(SERVICES) * REPLICAS * 192
    assert whole("frontend")
