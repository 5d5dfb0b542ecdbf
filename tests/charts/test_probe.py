"""probe.yaml: the canary and three small services."""

import yaml

from conftest import CHART, SERVICES, environment, render
from pod_security import restricted_violations
from renderings import STACK

PROBE = ("--values", str(CHART / "probe.yaml"))


def mebibytes(quantity):
    assert quantity.endswith("Mi")
    return int(quantity.removesuffix("Mi"))


def test_four_pods_in_100_mebibytes():
    objects = render(*STACK, arguments=PROBE)
    deployments = objects.kind("Deployment")
    assert {one["metadata"]["name"] for one in deployments} == {*SERVICES.values(), "dice-canary"}
    limits = 0
    for one in deployments:
        assert one["spec"]["replicas"] == 1
        spec = one["spec"]["template"]["spec"]
        assert not list(restricted_violations(spec))
        (container,) = spec["containers"]
        memory = [mebibytes(container["resources"][kind]["memory"]) for kind in ("requests", "limits")]
        assert memory[0] <= memory[1]
        limits += memory[1]
    assert limits <= 100
    assert not objects.kind("Job") and not objects.kind("CronJob") and not objects.kind("ScaledObject")


def test_memories_fit_the_limits():
    """What the services may keep is a small part of their limit."""
    objects = render(*STACK, arguments=PROBE)
    for name in SERVICES.values():
        spec = objects.one("Deployment", name)["spec"]["template"]["spec"]
        kept = sum(int(value) for variable, value in environment(spec).items() if variable.endswith("_BYTES"))
        assert kept <= mebibytes(spec["containers"][0]["resources"]["limits"]["memory"]) * 2**20 / 4


def test_only_the_rules_and_dashboards_of_the_pipeline():
    objects = render(*STACK, arguments=PROBE)
    assert objects.kind("ServiceMonitor") and objects.kind("PodMonitor")
    names = {name for _, name in objects.ids() if "dashboard" in name}
    assert names == {f"dice-dashboard-{file.stem}" for file in (CHART / "dashboards").glob("pipeline.json")}
    groups = [group["name"] for rule in objects.kind("PrometheusRule") for group in rule["spec"]["groups"]]
    assert groups == [group["name"] for file in (CHART / "rules").glob("pipeline.yaml") for group in yaml.safe_load(file.read_text())["groups"]]
