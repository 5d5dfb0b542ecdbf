"""kustomize/: the base matches the chart, and the overlays' patches take effect."""

import subprocess

import pytest
import yaml

from conftest import ROOT, SERVICES, deployment, find_tool, kustomize, variables
from pod_security import restricted_violations

FOLDERS = ("base", "overlays/dev", "overlays/production")


def test_base_is_fresh():
    path, why = find_tool("helm")
    if path is None:
        pytest.skip(f"kustomize/base not compared with the chart: {why}")
    rendered = subprocess.run([ROOT / "kustomize/render.sh"], capture_output=True, text=True, check=True).stdout
    assert rendered.rstrip("\n") == (ROOT / "kustomize/base/dice.yaml").read_text().rstrip("\n"), "kustomize/base is out of date: run make manifests"


@pytest.mark.parametrize("folder", FOLDERS)
def test_needs_nothing_but_kubernetes(folder):
    objects = kustomize(folder)
    assert {one["apiVersion"] for one in objects} <= {"v1", "apps/v1", "policy/v1", "networking.k8s.io/v1"}
    namespace = objects.one("Namespace", "dice")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"]["namespace"] for one in objects if one is not namespace} == {"dice"}
    assert {one["metadata"]["labels"]["app.kubernetes.io/managed-by"] for one in objects} == {"kustomize"}
    assert len(list(objects.pods())) == 3
    for owner, _, spec in objects.pods():
        assert not list(restricted_violations(spec)), owner


@pytest.mark.parametrize("folder", FOLDERS[1:])
def test_overlays_only_patch(folder):
    overlay = yaml.safe_load((ROOT / "kustomize" / folder / "kustomization.yaml").read_text())
    assert set(overlay) == {"apiVersion", "kind", "resources", "patches"} and overlay["resources"] == ["../../base"]


def test_dev_is_small_and_quick():
    objects = kustomize("overlays/dev")
    assert not objects.kind("PodDisruptionBudget")
    assert [one["spec"]["replicas"] for one in objects.kind("Deployment")] == [1, 1, 1]
    assert variables(objects, "dice-roller")["ROLL_DELAY_MAX_SECONDS"] == "0"
    for component in SERVICES:
        assert variables(objects, component)["OTEL_TRACES_EXPORTER"] == "none"


def test_production_is_three_of_each_with_telemetry():
    objects = kustomize("overlays/production")
    for name in SERVICES.values():
        assert objects.one("Deployment", name)["spec"]["replicas"] == 3
        assert objects.one("PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
    for component in SERVICES:
        env = variables(objects, component)
        assert env["OTEL_TRACES_EXPORTER"] == "otlp" and env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-gateway.monitoring.svc:4318"
        assert deployment(objects, component)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert variables(objects, "frontend")["TEMPO_URL"] == "http://tempo.monitoring.svc:3200"
    assert variables(objects, "frontend")["LOKI_URL"] == "http://loki.monitoring.svc:3100"
    for policy in objects.kind("NetworkPolicy"):
        rule = policy["spec"]["egress"][-1]
        assert [port["port"] for port in rule["ports"]] == [4318, 3200, 3100]
        assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
