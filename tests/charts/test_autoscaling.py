"""The ScaledObjects, and how many pods their queries ask for."""

import subprocess

import pytest
import yaml

from conftest import COMPONENT, ROOT, SERVICES, render
from renderings import STACK

PROMTOOL = ROOT / "build/prometheus/usr/bin/promtool"
ON = (*STACK, "autoscaling.enabled=true")


def scaled(component, *values, **where):
    return render(*ON, *values, **where).one("ScaledObject", SERVICES[component])


@pytest.mark.parametrize("component", SERVICES)
def test_scaled_object(component):
    one = scaled(component, "autoscaling.minReplicas=3", "autoscaling.maxReplicas=9")
    spec = one["spec"]
    assert one["apiVersion"] == "keda.sh/v1alpha1" and one["metadata"]["labels"][COMPONENT] == component
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 9)
    # Without an answer from Prometheus, or with one that knows nothing of the pods, no pods are removed.
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 3, "behavior": "currentReplicasIfHigher"}
    for trigger in spec["triggers"]:
        assert (trigger["type"], trigger["metricType"]) == ("prometheus", "AverageValue")
        assert trigger["metadata"]["ignoreNullValues"] == "false"
        assert trigger["metadata"]["serverAddress"] == "http://prometheus.monitoring.svc:9090"
        # KEDA takes only strings.
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert set(behavior) == {"scaleDown"} and behavior["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_behavior_can_be_changed():
    spec = scaled("frontend", "autoscaling.behavior.scaleDown.stabilizationWindowSeconds=15", "autoscaling.behavior.scaleUp.selectPolicy=Min")["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 15 and behavior["scaleUp"] == {"selectPolicy": "Min"}


def test_targets():
    targets = {component: {trigger["name"]: float(trigger["metadata"]["threshold"]) for trigger in scaled(component)["spec"]["triggers"]}
               for component in SERVICES}
    assert targets == {"frontend": {"requests": 100}, "die-service": {"requests": 500}, "dice-roller": {"rolls": 716.8, "rejections": 716.8}}
    triggers = scaled("dice-roller", "diceRoller.maxRollThreads=64", "diceRoller.autoscaling.target=50")["spec"]["triggers"]
    assert [trigger["metadata"]["threshold"] for trigger in triggers] == ["32", "32"]


def test_replicas_are_left_to_an_autoscaler():
    """Otherwise, each upgrade would undo its changes."""
    for value in ("replicaCount=null", "frontend.replicaCount=null"):
        assert "replicas" not in render(value).one("Deployment", "dice-frontend")["spec"]
    assert render("frontend.replicaCount=null").one("Deployment", "dice-roller")["spec"]["replicas"] == 2
    assert all("replicas" not in render(*ON).one("Deployment", name)["spec"] for name in SERVICES.values())


def of(component, name, labels, values, namespace="dice", release="dice"):
    labels = {"namespace": namespace, "service": f"{release}-{component.removeprefix('dice-')}-metrics", **labels}
    text = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{text}}}", "values": values}


def roller(pods, rolls, accepted, rejected, **where):
    """Five minutes of dice-roller pods that are all the same: rolls at work, requests per 15 s."""
    for pod in map(str, range(pods)):
        yield of("dice-roller", "roll_admission_in_use", {"pod": pod}, f"{rolls}x20", **where)
        for status, code, requests in (("200", "", accepted), ("503", "overloaded", rejected)):
            yield of("dice-roller", "http_requests_total",
                     {"route": "/roll-async", "status": status, "error_code": code, "pod": pod}, f"0+{requests}x20", **where)
        if rejected:
            yield of("dice-roller", "roll_admission_rejected_total", {"reason": "overloaded", "pod": pod}, f"0+{rejected}x20", **where)


def requests(component, pods, per_second, route="/dice/{identifier}", **where):
    for pod in map(str, range(pods)):
        yield of(component, "dice_build_info", {"pod": pod, "version": "1"}, "1x20", **where)
        yield of(component, "http_requests_total", {"route": "/healthz", "status": "200", "pod": pod}, "0+1000x20", **where)
        if per_second:
            yield of(component, "http_requests_total", {"route": route, "status": "200", "pod": pod}, f"0+{15 * per_second}x20", **where)


# 64 rolls at a time at most; the target is 70 % of this.
CASES = {
    "idle rollers": ("dice-roller", roller(2, 0, 0, 0), {"rolls": 0, "rejections": 0}),
    "busy rollers": ("dice-roller", roller(2, 40, 100, 0), {"rolls": 80, "rejections": 80}),
    # A pod at its limit, which rejects three of four batches: four times as much work is asked for.
    "one pod of four": ("dice-roller", roller(1, 60, 100, 300), {"rolls": 60, "rejections": 240}),
    "another release in the same namespace": ("dice-roller", [*roller(1, 1, 0, 0), *roller(2, 50, 0, 0, release="other")],
                                              {"rolls": 1, "rejections": 1}),
    "the same release in another namespace": ("dice-roller", [*roller(1, 1, 0, 0), *roller(2, 50, 0, 0, namespace="other")],
                                              {"rolls": 1, "rejections": 1}),
    # Nothing, which is not 0.
    "rollers not scraped": ("dice-roller", roller(2, 50, 0, 0, release="other"), {"rolls": None, "rejections": None}),
    "requests": ("die-service", requests("die-service", 3, 40), {"requests": 120}),
    "the page": ("frontend", [*requests("frontend", 2, 10, "/"), *requests("die-service", 2, 40)], {"requests": 20}),
    "no requests yet": ("frontend", requests("frontend", 2, 0), {"requests": 0}),
    "frontends not scraped": ("frontend", requests("die-service", 2, 40), {"requests": None}),
}


@pytest.mark.parametrize("component, series, wanted", CASES.values(), ids=CASES)
def test_queries(component, series, wanted, tmp_path):
    if not PROMTOOL.exists():
        pytest.skip("KEDA's queries not tested: build/prometheus is missing; tools/setup.sh test unpacks it")
    triggers = scaled(component, "diceRoller.maxRollThreads=64", "diceRoller.maxAsyncRolls=20")["spec"]["triggers"]
    assert {trigger["name"] for trigger in triggers} == set(wanted)
    checks = [{"expr": trigger["metadata"]["query"], "eval_time": "5m",
               "exp_samples": [] if wanted[trigger["name"]] is None else [{"labels": "{}", "value": wanted[trigger["name"]]}]}
              for trigger in triggers]
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(
        {"tests": [{"interval": "15s", "input_series": list(series), "promql_expr_test": checks}]}))
    done = subprocess.run([PROMTOOL, "test", "rules", "case.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
