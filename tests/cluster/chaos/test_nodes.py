"""Nodes that are drained or die, under load."""

import contextlib
import os
import re
import time

import pytest

from cluster import (DEPLOYMENTS, RELEASE, REPLICAS, SERVICES, URL, CommandFailed, Job, WayFailed, forwarded, get, helm_test, install,
                     kubectl, objects, pods, ready, run, summary_of, wait_for, whole)

try:
    WORKERS = [one["metadata"]["name"] for one in objects("nodes", "--selector=!node-role.kubernetes.io/control-plane")]
except (CommandFailed, OSError):
    WORKERS = []
RATE = 50


@pytest.fixture(scope="module", autouse=True)
def installed(namespace):
    if len(WORKERS) < 2:
        pytest.skip("the cluster has only one worker")
    install("--set", "diceRoller.rollDelaySeconds.max=0.3")


@pytest.fixture(autouse=True)
def spread(installed):
    """Pods that have moved do not move back by themselves."""
    for service in SERVICES:
        kubectl("rollout", "restart", f"deployment/{DEPLOYMENTS[service]}")
    for service in SERVICES:
        kubectl("rollout", "status", f"deployment/{DEPLOYMENTS[service]}", "--timeout=120s")
    wait_for("only new pods are left", lambda: all(whole(service) for service in SERVICES), 90)


def on(node):
    """The names of the services with a pod on that node."""
    return [service for service in SERVICES if any(pod["spec"]["nodeName"] == node for pod in pods(service))]


def load(node, seconds):
    job = Job("steady", "traffic", "--url", URL, "--rate", RATE, "--duration", seconds, "--wait", 30, "--json", not_on=node,
              LOADGEN_WORKERS=512, LOADGEN_METRICS_PORT=8404)
    job.wait_until_running()
    return job


@pytest.mark.parametrize("node", WORKERS)
def test_a_drained_node_loses_no_request(node, say):
    affected = on(node)
    job = load(node, 60)
    start = time.monotonic()
    try:
        # Only the release's pods: those of other tests and of the stack have volumes on their nodes.
        run("kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s",
            f"--pod-selector=app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component!=loadgen")
        took = time.monotonic() - start
        assert job.running(), "the load ended before the drain"
        assert not on(node)
        wait_for("all replicas are ready elsewhere", lambda: all(whole(service) for service in SERVICES), 60)
        code, output = job.result(120)
    finally:
        run("kubectl", "uncordon", node)
    summary = summary_of(output)
    say(f"drain of {node} with {', '.join(affected) or 'no service'} in {took:.1f} s: {summary['requests']} requests, "
        f"{summary['unexpected_failures']} failed")
    assert code == 0, output


def test_a_killed_node(say):
    """Until Kubernetes notices, some connections go to a node that does not respond. After that, nothing fails."""
    if len(WORKERS) < 3 and not os.environ.get("KILL_NODES"):
        pytest.skip("a node is killed only in a cluster with three workers, or with KILL_NODES=1")
    node = max(WORKERS, key=lambda one: len(on(one)))
    affected = on(node)
    assert affected
    job = load(node, 120)
    # The total of failed requests at each second.
    failed, withdrawn = {}, None

    def failures(address):
        found = re.findall(r'^loadgen_requests_total{.*error_code="([^"]+)".*} (\S+)', get(f"{address}/metrics")[1], re.MULTILINE)
        return int(sum(float(count) for code, count in found if code not in ("roll_failed", "batch_failed")))

    def endpoints():
        """Whether any Service of the page, rolls or dice still has an endpoint on the node."""
        return any(end.get("nodeName") == node and end["conditions"].get("ready")
                   for one in objects("endpointslices") for end in one["endpoints"] or []
                   if not one["metadata"]["labels"]["kubernetes.io/service-name"].endswith("-metrics"))
    with forwarded(f"pod/{job.pod()['metadata']['name']}", 8404) as metrics:
        run("docker", "kill", node)
        start = time.monotonic()
        try:
            while job.running():
                with contextlib.suppress(CommandFailed, OSError, WayFailed):
                    failed[int(time.monotonic() - start)] = failures(metrics)
                    if withdrawn is None and not endpoints():
                        withdrawn = int(time.monotonic() - start)
                time.sleep(0.5)  # polling interval
            _, output = job.result(60)
        finally:
            run("docker", "start", node)
            wait_for("the node is ready", lambda: all(ready(one) for one in objects("nodes")), 120)
    summary = summary_of(output)
    seconds = sorted(failed)
    steps = [f"{now} s: {failed[now] - failed[before]}" for before, now in zip(seconds, seconds[1:]) if failed[now] > failed[before]]
    say(f"{node} killed with {', '.join(affected)}: {summary['unexpected_failures']} of {summary['requests']} requests failed; "
        f"endpoints withdrawn after {withdrawn} s; failed by second: {'; '.join(steps) or 'none'}")
    assert withdrawn is not None, "its endpoints were not withdrawn"
    late = failed[seconds[-1]] - failed[next(second for second in seconds if second >= withdrawn + 2)]
    assert late == 0, f"{late} requests failed after the endpoints had been withdrawn"
    wait_for("all replicas are ready", lambda: all(
        len([one for one in pods(service) if ready(one)]) == REPLICAS for service in SERVICES), 360)
    assert "All passed" in helm_test()
