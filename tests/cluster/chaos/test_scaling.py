"""KEDA scales dice-roller by the rolls at work, up and down again."""

import collections
import pathlib
import sys
import time

import pytest

from cluster import (COLLECTOR, DEPLOYMENTS, LOKI, MONITORING, NAMESPACE, PROMETHEUS, TEMPO, URL, WITH_STACK, CommandFailed,
                     Counters, Job, forwarded, install, kubectl, pods, query, ready, run, summary_of, total, uninstall, wait_for, whole)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "dashboards"))
import queries  # noqa: E402

PODS = 4
THREADS = 64
# Each roll takes two seconds, so a pod can do at most 32 per second. At the target of 70 % of the threads, this rate needs four pods;
# with the surge, it is more than four can do.
DELAY = 2
RATE = 88
SURGE = 72
# New pods get their share as connections are replaced.
SETTLE = 35
SCALED = ("--set", f"diceRoller.maxRollThreads={THREADS}", "--set", f"diceRoller.rollDelaySeconds.min={DELAY}",
          "--set", f"diceRoller.rollDelaySeconds.max={DELAY}", "--set", "diceRoller.autoscaling.enabled=true",
          "--set", "diceRoller.autoscaling.minReplicas=1", "--set", f"diceRoller.autoscaling.maxReplicas={PODS}",
          # The default waits 5 minutes and then removes a pod each minute.
          "--set", "diceRoller.autoscaling.behavior.scaleDown.stabilizationWindowSeconds=30",
          "--set", "diceRoller.autoscaling.behavior.scaleDown.policies[0].type=Pods",
          "--set", "diceRoller.autoscaling.behavior.scaleDown.policies[0].value=1",
          "--set", "diceRoller.autoscaling.behavior.scaleDown.policies[0].periodSeconds=15")


@pytest.fixture(scope="module", autouse=True)
def installed(namespace):
    try:
        run("kubectl", "get", "crd", "scaledobjects.keda.sh")
    except CommandFailed:
        pytest.skip("KEDA is not installed in this cluster")
    try:
        run("kubectl", "--namespace", MONITORING, "get", "service", COLLECTOR, TEMPO, LOKI, PROMETHEUS)
    except CommandFailed:
        pytest.skip("the stack is not installed in this cluster (make stack)")
    uninstall()
    install("--values", WITH_STACK[1], *SCALED)
    wait_for("KEDA has a ScaledObject that works", lambda: "True" in kubectl(
        "get", "scaledobject", DEPLOYMENTS["dice-roller"], "--output", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'), 60)
    wait_for("there is one roller", lambda: whole("dice-roller", 1), 300)
    yield
    uninstall()


def rolls(name, *arguments):
    job = Job(name, "traffic", "--url", URL, "--async", 0, "--dice", "fair", "--json", "--wait", 30, *arguments)
    job.wait_until_running()
    return job


class Samples(list):
    """(seconds, ready rollers, answered rolls, rejected rolls) about once per second."""

    def __init__(self, frontend):
        self.frontend = frontend
        self.start = time.monotonic()
        self.before = frontend.read("http_requests_total")

    def take(self, until, seconds):
        """All samples up to the one at which `until` is true, which must be within so many seconds."""
        def sampled():
            counted = self.frontend.read("http_requests_total") - self.before
            self.append((time.monotonic() - self.start, sum(ready(one) for one in pods("dice-roller")),
                         total(counted, route="/roll", status="200"), total(counted, route="/roll", error_code="overloaded")))
            return until(self[-1])
        begin = len(self)
        wait_for("the rollers are scaled", sampled, seconds)
        return self[begin:]


def answered(samples):
    """Rolls per second."""
    first, last = samples[0], samples[-1]
    return (last[2] - first[2]) / (last[0] - first[0])


def server_spans(prometheus):
    """Tempo's count of server spans of rolls, by service."""
    found = query(prometheus, 'sum by (service) (traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER", '
                              'service=~"frontend|dice-roller", span_name="GET /roll"})')
    return collections.Counter({one["metric"]["service"]: int(one["value"][1]) for one in found})


def test_load_brings_pods_and_its_end_removes_them_without_a_loss(say):
    with Counters("frontend") as frontend, forwarded(PROMETHEUS, 9090, MONITORING) as prometheus:
        spans = server_spans(prometheus)
        samples = Samples(frontend)
        job = rolls("rolls", "--rate", RATE, "--duration", 300, "--workers", 1000, "--expect", "overloaded")
        scaling = samples.take(lambda now: now[1] == PODS, 180)
        took = samples[-1][0]
        board = next(one for one in queries.every() if queries.filled_when(one) == "autoscaling is on")
        wait_for(f"{board.where} has data", lambda: query(prometheus, queries.fill(board.expr, NAMESPACE)), 60)
        samples.take(lambda now: now[0] > took + SETTLE, SETTLE + 30)
        settled = samples[-1][0]
        samples.take(lambda now: now[0] > settled + 20, 60)
        rejecting = [now[0] for past, now in zip(samples, samples[1:]) if now[3] > past[3]]
        rejected = samples[-1][3]
        surge = rolls("surge", "--rate", SURGE, "--duration", 45, "--workers", 1000, "--expect", "overloaded")
        begin = samples.take(lambda now: True, 10)[-1][0]
        full = [one for one in samples.take(lambda now: now[0] > begin + 40, 60) if one[0] > begin + 2 * DELAY]
        say("rollers ready: " + ", ".join(f"{count} after {next(one[0] for one in samples if one[1] >= count):.0f} s"
                                          for count in range(2, PODS + 1)))
        one = [sample for sample in scaling if sample[1] <= 1 and sample[0] > 2 * DELAY + 1]
        say(f"answered rolls per second, at full load: {answered(one):.1f} with one pod, {answered(full):.1f} with {PODS}: "
            f"{answered(full) / answered(one):.2f} times")
        say(f"503 at {RATE} per second, which needs {PODS} pods: {rejected:.0f}, from {min(rejecting):.0f} s to {max(rejecting):.0f} s; "
            f"{PODS} pods were ready after {took:.0f} s")

        # Under little load, they go again.
        code, output = surge.result(120)
        assert code == 0, output
        code, output = job.result(300)
        assert code == 0, output
        # No pod is removed before the load has been gone for half a minute.
        little = rolls("little", "--rate", 10, "--duration", 180)
        start, went = time.monotonic(), {}
        while little.running():
            went.setdefault(len(pods("dice-roller")), time.monotonic() - start)
            time.sleep(1)  # polling interval
        code, output = little.result(60)
        summary = summary_of(output)
        say("scale-in: " + ", ".join(f"{count} after {at:.0f} s" for count, at in went.items()) +
            f"; {summary['requests']} requests, {summary['unexpected_failures']} failed {summary['failures'] or ''}")
        # Each request has a server span in both services, whatever its answer, and from all pods there ever were.
        requests = int(total(frontend.read("http_requests_total") - samples.before, route="/roll"))
        found = collections.Counter()

        def all_counted():
            found.clear()
            found.update(server_spans(prometheus) - spans)
            return min(found.values()) >= requests
        try:
            wait_for("Tempo has counted all spans", all_counted, 120)
        finally:
            say(f"{requests} rolls requested since the start; server spans of " +
                ", ".join(f"{service}: {count}" for service, count in found.items()))
    assert answered(full) >= 3.6 * answered(one)
    assert max(rejecting) <= settled, "503 although all pods take part"
    assert code == 0, output
    assert min(went) == 1
