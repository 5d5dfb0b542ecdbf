"""KEDA scales dice-roller by the rolls at work, up and down again."""

import contextlib
import time

import pytest

from cluster import (COLLECTOR, DEPLOYMENTS, LOKI, MONITORING, PROMETHEUS, TEMPO, URL, WITH_STACK, CommandFailed, Counters, Job, forwarded,
                     helm, install, kubectl, pods, query, ready, run, summary_of, total, wait_for, whole)

PODS = 4
THREADS = 64
# Each roll takes two seconds, so a pod can do at most 32 per second; this rate needs four.
DELAY = 2
RATE = 125
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
    helm("uninstall", "dice", "--ignore-not-found", "--wait")
    install("--values", WITH_STACK[1], *SCALED)
    wait_for("KEDA has a ScaledObject that works", lambda: "True" in kubectl(
        "get", "scaledobject", DEPLOYMENTS["dice-roller"], "--output", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'), 60)
    wait_for("there is one roller", lambda: whole("dice-roller", 1), 300)
    yield
    helm("uninstall", "dice", "--ignore-not-found", "--wait")


def rolls(*arguments, **more):
    return Job("rolls", "traffic", "--url", URL, "--async", 0, "--dice", "fair", "--json", "--wait", 30, *arguments, **more)


def test_load_brings_pods_and_its_end_removes_them_without_a_loss(say):
    job = rolls("--rate", RATE, "--duration", 240, "--workers", 1000, "--expect", "overloaded")
    job.wait_until_running()
    samples = []
    with Counters("frontend") as frontend:
        start = time.monotonic()
        before = frontend.read("http_requests_total")
        while job.running():
            counted = frontend.read("http_requests_total") - before
            samples.append((time.monotonic() - start, sum(ready(one) for one in pods("dice-roller")),
                            total(counted, route="/roll", status="200"), total(counted, route="/roll", error_code="overloaded")))
            time.sleep(1)  # polling interval
    code, output = job.result(60)
    summary = summary_of(output)

    def first(condition):
        return next((sample for sample in samples if condition(sample)), None)
    for count in range(2, PODS + 1):
        reached = first(lambda sample: sample[1] >= count)
        say(f"{count} rollers are ready after {reached[0]:.0f} s" if reached else f"there were never {count} rollers")
    one = [sample for sample in samples if sample[1] <= 1 and sample[0] > 2 * DELAY + 1]
    four = [sample for sample in samples if sample[1] == PODS]
    assert len(one) > 2 and four, samples
    # New pods get their share as connections are replaced, which takes up to 30 s.
    four = [sample for sample in four if sample[0] > four[0][0] + 35]
    rate_of_one, rate_of_four = ((last[2] - begin[2]) / (last[0] - begin[0]) for begin, last in ((one[0], one[-1]), (four[0], four[-1])))
    rejecting = [now[0] for past, now in zip(samples, samples[1:]) if now[3] > past[3]]
    say(f"answered rolls per second: {rate_of_one:.1f} with one pod, {rate_of_four:.1f} with {PODS}: {rate_of_four / rate_of_one:.2f} times")
    say(f"503 from {rejecting[0]:.0f} s to {rejecting[-1]:.0f} s: {samples[-1][3]:.0f} of {summary['requests']} requests" if rejecting
        else "no 503")
    assert code == 0, output
    assert rate_of_four >= 3.6 * rate_of_one
    assert not [at for at in rejecting if at > four[0][0]], "503 although all pods take part"

    scale_in(say)


def scale_in(say):
    """Under little load."""
    with forwarded(PROMETHEUS, 9090, MONITORING) as prometheus:
        def spans():
            """Server spans of rolls in Tempo, by service."""
            found = query(prometheus, 'sum by (service) (traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER", '
                                      'service=~"frontend|dice-roller", span_name="GET /roll"})')
            return {one["metric"]["service"]: float(one["value"][1]) for one in found}

        def settled():
            with contextlib.suppress(AssertionError):
                wait_for("the number of spans changes", lambda: spans() != now, 35)
                return False
            return True
        now = spans()
        while not settled():
            now = spans()
        before = now
        job = rolls("--rate", 10, "--duration", 150)
        job.wait_until_running()
        start = time.monotonic()
        seen = {}
        while job.running():
            seen.setdefault(len(pods("dice-roller")), time.monotonic() - start)
            time.sleep(1)  # polling interval
        code, output = job.result(60)
        summary = summary_of(output)
        say("scale-in: " + ", ".join(f"{count} after {at:.0f} s" for count, at in seen.items()) +
            f"; {summary['requests']} requests, {summary['unexpected_failures']} failed")
        assert code == 0, output
        assert min(seen) == 1
        # The load's own check at the start, with a die that does not exist, is a request, too.
        expected = {service: before[service] + summary["requests"] for service in before}
        now, _ = wait_for("Tempo has counted all spans", lambda: (found := spans()) and all(
            found[service] >= expected[service] for service in expected) and found, 120)
        say("spans of " + ", ".join(f"{service}: {now[service] - before[service]:.0f}" for service in now) +
            f" for {summary['requests']} requests and {now['frontend'] - expected['frontend']:.0f} of the load's own at its start")
