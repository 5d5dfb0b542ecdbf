"""The canary beside the stack: silent while all is well, and for each fault the right cause and the right alert.

QUIET_SECONDS: how long it must be silent, default 120. FAULTS: names, separated by semicolons; default: all. CANARY_DEADLINE: the
canary's `--deadline`; default: its own, with which a fault takes about five minutes.
"""

import json
import os
import time

import pytest

from cluster import COLLECTOR, LOKI, MONITORING, NAMESPACE, ROOT, TEMPO, WITH_STACK, get, install, kubectl, query, run, wait_for

QUIET_SECONDS = float(os.environ.get("QUIET_SECONDS", 120))
CANARY = ("--values", WITH_STACK[1], "--set", "canary.enabled=true", "--set", "diceRoller.rollDelaySeconds.max=0.3",
          *(["--set-string", f"canary.env.LOADGEN_DEADLINE={seconds}"] if (seconds := os.environ.get("CANARY_DEADLINE")) else []))
# A check ends at the latest after two minutes, is scraped, and an alert may wait for the next one.
SECONDS = 480
SAMPLED = {"processors": {"tail_sampling": {"decision_wait": "1s", "policies": [
    {"name": "most", "type": "probabilistic", "probabilistic": {"sampling_percentage": 90}}]}},
    "service": {"pipelines": {"traces": {"processors": ["memory_limiter", "tail_sampling", "batch"]}}}}


@pytest.fixture(scope="module", autouse=True)
def canary(stack, backends):
    install(*CANARY)
    wait_for("the canary has finished a check", lambda: checks(backends, "passed"), 300)


def patch(kind, name, change, namespace=MONITORING):
    run("kubectl", "--namespace", namespace, "patch", kind, name, "--type=merge", "--patch", json.dumps(change))


def scaled(kind, name):
    return (lambda: run("kubectl", "--namespace", MONITORING, "scale", kind, name, "--replicas=0"),
            lambda: run("kubectl", "--namespace", MONITORING, "scale", kind, name, "--replicas=1"))


def monitored(expressions):
    patch("servicemonitor", "dice", {"spec": {"selector": {"matchExpressions": expressions}}}, NAMESPACE)


def release_of_stack(name, values, *arguments, more=None):
    """`more` are values that are added to those of the file."""
    chart = next(line.split()[1:3] for line in (ROOT / "stack/charts.txt").read_text().splitlines() if line.startswith("otel-logs "))
    file = f"{os.environ.get('CHARTS', ROOT / 'build/stack')}/{chart[0]}-{chart[1]}.tgz"
    run("helm", "--namespace", MONITORING, "upgrade", "--install", name, file, "--skip-crds", "--values", ROOT / "stack/values" / values,
        "--values", "-", *arguments, stdin=json.dumps(more or {}))


def gateway(more=None):
    release_of_stack(COLLECTOR, "otel-gateway.yaml", more=more)


def second_agent():
    release_of_stack("otel-logs-twice", "otel-logs.yaml", "--set", "fullnameOverride=otel-logs-twice",
                     "--set", "presets.logsCollection.storeCheckpoints=false", "--set", "config.receivers.filelog.start_at=end",
                     "--set", f"config.receivers.filelog.include={{/var/log/pods/{NAMESPACE}_*/*/*.log}}")


# A proxy in front of die-service that removes traceparent, for GET requests. Debian's base image has Perl.
PROXY = r"""
use IO::Socket::INET;
$SIG{CHLD} = "IGNORE";
my $listener = IO::Socket::INET->new(LocalPort => 8402, Listen => 128, ReuseAddr => 1) or die $!;
while (my $client = $listener->accept) {
  next if fork;
  my $server = IO::Socket::INET->new(PeerAddr => "dice-die-service:8402") or exit;
  while (defined(my $line = <$client>)) {
    next if $line =~ /^traceparent:/i;
    print $server $line;
    next if $line ne "\r\n";
    my $length = 0;
    while (defined(my $answer = <$server>)) {
      $length = $1 if $answer =~ /^content-length:\s*(\d+)/i;
      print $client $answer;
      last if $answer eq "\r\n";
    }
    read($server, my $body, $length);
    print $client $body;
  }
  exit;
}
"""
PROXY_IMAGE = "debian:trixie-slim"


def stripped():
    run("kind", "load", "docker-image", "--name", os.environ.get("CLUSTER", "dice"), PROXY_IMAGE)
    labels = {"app": "stripper"}
    container = {"name": "proxy", "image": PROXY_IMAGE, "imagePullPolicy": "Never", "command": ["perl", "-e", PROXY],
                 "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0, "securityContext": {
        "runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}}
    parts = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "stripper"}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}},
             {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "stripper"},
              "spec": {"selector": labels, "ports": [{"port": 8402}]}}]
    kubectl("apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": parts}))
    kubectl("rollout", "status", "deployment/stripper", "--timeout=60s")
    install(*CANARY, "--set", "networkPolicy.enabled=false", "--set", "diceRoller.env.DIE_SERVICE_URL=http://stripper:8402")


# By name: how to bring it about, how to end it, the only cause, the only alert.
FAULTS = {
    "collector at 0": (*scaled("deployment", COLLECTOR), "collector_down", "TelemetryPipelineLost"),
    "Tempo at 0": (*scaled("statefulset", TEMPO), "source_unreadable", "TelemetryPipelineLost"),
    "Loki at 0": (*scaled("statefulset", LOKI), "source_unreadable", "TelemetryPipelineLost"),
    "log agent off": (
        lambda: patch("daemonset", "otel-logs-agent", {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "true"}}}}}),
        lambda: patch("daemonset", "otel-logs-agent", {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": None}}}}}),
        "no_logs", "TelemetryPipelineLost"),
    "a service not scraped": (
        lambda: monitored([{"key": "app.kubernetes.io/component", "operator": "NotIn", "values": ["die-service"]}]),
        lambda: monitored(None), "scrape_missing", "TelemetryPipelineLost"),
    "a service exports no spans": (
        lambda: install(*CANARY, "--set", "diceRoller.env.OTEL_TRACES_EXPORTER=none"),
        lambda: install(*CANARY), "spans_not_exported", "TelemetryPipelineLost"),
    "10 % of the traces sampled away": (
        lambda: gateway({"config": SAMPLED}), gateway, "traces_lost", "TelemetryPipelineLost"),
    "log lines sent twice": (
        second_agent, lambda: run("helm", "--namespace", MONITORING, "uninstall", "otel-logs-twice"),
        "duplicated", "TelemetryPipelineDuplicated"),
    "context not propagated": (
        stripped, lambda: (install(*CANARY), kubectl("delete", "deployment,service", "stripper")),
        "context_not_propagated", "TelemetryPipelineLost"),
}
CHOSEN = [name for name in os.environ.get("FAULTS", "").split(";") if name] or list(FAULTS)


def checks(backends, result):
    found = query(backends["prometheus"], f'telemetry_pipeline_checks_total{{namespace="{NAMESPACE}", result="{result}"}}')
    return sum(float(one["value"][1]) for one in found)


def broken(backends):
    """(signal, cause) of the last check."""
    return {(one["metric"]["signal"], one["metric"]["cause"])
            for one in query(backends["prometheus"], f'telemetry_pipeline_broken{{namespace="{NAMESPACE}"}} == 1')}


def alerts(backends):
    """(name, signal, cause) of each firing alert about the pipeline."""
    active = json.loads(get(f"{backends['prometheus']}/api/v1/alerts")[1])["data"]["alerts"]
    return {(one["labels"]["alertname"], one["labels"].get("signal"), one["labels"].get("cause")) for one in active
            if one["state"] == "firing" and one["labels"]["alertname"].startswith("TelemetryPipeline")
            and one["labels"].get("namespace") == NAMESPACE}


def test_no_false_alarm(backends, say):
    wait_for("the last check passed", lambda: not broken(backends) and not alerts(backends), SECONDS)
    passed, failed = checks(backends, "passed"), checks(backends, "failed")
    start = time.monotonic()
    while time.monotonic() - start < QUIET_SECONDS:
        assert not broken(backends) and not alerts(backends), f"after {time.monotonic() - start:.0f} s"
        time.sleep(5)  # polling interval
    say(f"{QUIET_SECONDS:.0f} s without a fault: {checks(backends, 'passed') - passed:.0f} checks passed, "
        f"{checks(backends, 'failed') - failed:.0f} failed, no alert")
    assert checks(backends, "failed") == failed


@pytest.mark.parametrize("fault", CHOSEN)
def test_a_fault_is_named_and_alerted(fault, backends, say):
    inject, end, cause, alert = FAULTS[fault]
    wait_for("all is well", lambda: not broken(backends) and not alerts(backends), SECONDS)
    start = time.monotonic()
    named = {}
    fired = {}

    def look():
        since = time.monotonic() - start
        for one in broken(backends):
            named.setdefault(one, since)
        for one in alerts(backends):
            fired.setdefault(one, since)

    def alerted():
        look()
        return any(one[0] == alert and one[2] == cause for one in fired)
    try:
        inject()
        wait_for(f"{alert} fires for {cause}", alerted, SECONDS)
    finally:
        say(f"{fault}: " + (", ".join(f"{name[0]} {name[1]} after {at:.0f} s" for name, at in named.items()) or "no cause") + "; " +
            (", ".join(f"{name[0]} ({name[1]}, {name[2]}) after {at:.0f} s" for name, at in fired.items()) or "no alert"))
        end()
    # Once it has ended, what was delayed by it may truly be late.
    causes = {one[1] for one in named}
    _, took = wait_for("it is over", lambda: (look(), not broken(backends) and not alerts(backends))[1], SECONDS)
    say(f"{fault}: recovered {took:.0f} s after its end")
    assert causes == {cause}, named
    assert {one[0] for one in fired} == {alert}, fired
