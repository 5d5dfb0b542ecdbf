"""Three replicas of each service without Tempo: checks are exact, also while pods are replaced.

ROUNDS: how often `helm test` is repeated, default 3.
"""

import os
import re
import statistics
import subprocess
import time

import pytest

from cluster import DEPLOYMENTS, NAMESPACE, SERVICES, URL, Job, helm_test, install, kubectl, pods, summary_of, wait_for, whole

ROUNDS = int(os.environ.get("ROUNDS", 3))
REPLICAS = 3
REPLACED = re.compile(r"its replicas changed during the check; checking again")


@pytest.fixture(scope="module", autouse=True)
def installed(namespace):
    install("--set", f"replicaCount={REPLICAS}", "--set", "diceRoller.rollDelaySeconds.max=0.3")


def exact_helm_test():
    """The seconds that it took, and its output."""
    start = time.monotonic()
    output = helm_test()
    for signal in ("answers", "traces", "metrics", "correlation"):
        passed = re.search(rf"^{signal} +(\d+) of (\d+)", output, re.MULTILINE)
        assert passed and passed[1] == passed[2], output
    assert re.findall(r"^not checked: *(\w+)", output, re.MULTILINE) in ([], ["logs"]), output
    return time.monotonic() - start, output


def test_replicas_are_spread_over_the_nodes(say):
    nodes = {service: sorted(pod["spec"]["nodeName"] for pod in pods(service)) for service in SERVICES}
    say("nodes: " + "; ".join(f"{service} on {', '.join(each)}" for service, each in nodes.items()))
    workers = kubectl("get", "nodes", "--selector=!node-role.kubernetes.io/control-plane", "--output=name").split()
    assert all(len(set(each)) == min(REPLICAS, len(workers)) for each in nodes.values())


def test_helm_test_is_exact(say):
    took = [exact_helm_test()[0] for _ in range(ROUNDS)]
    say(f"helm test with {REPLICAS} replicas each, without Tempo: {len(took)} of {ROUNDS} exact; "
        f"{statistics.median(took):.1f} s in the median, {max(took):.1f} s at most")


@pytest.mark.parametrize("service", SERVICES)
def test_helm_test_during_a_rolling_restart(service, say):
    load = Job("steady", "traffic", "--url", URL, "--rate", 20, "--duration", 60, "--wait", 30, "--json")
    load.wait_until_running()
    deployment = f"deployment/{DEPLOYMENTS[service]}"
    kubectl("rollout", "restart", deployment)
    checks = again = 0
    with subprocess.Popen(["kubectl", "--namespace", NAMESPACE, "rollout", "status", deployment, "--timeout=100s"],
                          stdout=subprocess.DEVNULL) as rollout:
        while rollout.poll() is None:
            checks += 1
            again += len(REPLACED.findall(exact_helm_test()[1]))
        assert rollout.returncode == 0
    assert load.running(), "the load ended before the rollout"
    start = time.monotonic()
    wait_for("the old pods are gone", lambda: whole(service, REPLICAS), 60)
    _, output = exact_helm_test()
    exact_after = time.monotonic() - start
    again += len(REPLACED.findall(output))
    code, output = load.result(180)
    summary = summary_of(output)
    say(f"rolling restart of {service}: {checks + 1} of {checks + 1} checks exact, {again} windows repeated, the last check "
        f"{exact_after:.1f} s after the rollout; {summary['requests']} requests, {summary['unexpected_failures']} failed")
    assert code == 0, output
    assert exact_after <= 60
