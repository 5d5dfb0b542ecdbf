"""The rendered objects: complete, and with the labels and names that Kubernetes and Helm expect."""

import subprocess

import pytest
import yaml

from conftest import BIN, CHART, COMPONENT, KUBERNETES, ROOT, SERVICES, helm, pod, render, sets
from renderings import EVERYTHING, every_rendering


@every_rendering
def test_lint(values):
    linted = helm("lint", "--strict", "--kube-version", KUBERNETES, *sets(values), str(CHART))
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_version_is_written_once():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"]
    assert f"\n## {chart['version']}\n" in (ROOT / "CHANGELOG.md").read_text()
    for program in (*SERVICES, "loadgen"):
        said = subprocess.run([BIN / program, "--version"], capture_output=True, text=True, check=True).stdout
        assert said.split()[0] == chart["version"]


@every_rendering
def test_labels(values):
    wanted = {"name", "instance", "part-of", "version", "managed-by"}
    for one in render(*values, "commonLabels.team=dice"):
        labels = one["metadata"]["labels"]
        assert {f"app.kubernetes.io/{name}" for name in wanted} <= set(labels), one["metadata"]["name"]
        assert labels["helm.sh/chart"].startswith("dice-") and labels["team"] == "dice"
    for owner, metadata, _ in render(*values, "commonLabels.team=dice").pods():
        assert metadata["labels"]["team"] == "dice", owner


def test_own_labels_win():
    """Selectors depend on them."""
    labels = pod(render(r"commonLabels.app\.kubernetes\.io/component=x", r"podLabels.app\.kubernetes\.io/name=x"), "frontend")["metadata"]["labels"]
    assert labels[COMPONENT] == "frontend" and labels["app.kubernetes.io/name"] == "dice"


@pytest.mark.parametrize("release, frontend", [
    ("dice", "dice-frontend"),
    ("my-dice", "my-dice-frontend"),
    ("games", "games-dice-frontend"),
    ("r" * 53, "r" * 43 + "-frontend"),
])
def test_names(release, frontend):
    objects = render(*EVERYTHING, release=release)
    assert ("Deployment", frontend) in objects.ids()
    assert len(objects.ids()) == len(objects)
    for kind, name in objects.ids():
        assert len(name) <= {"CronJob": 52, "ConfigMap": 253}.get(kind, 63), f"{kind} {name}"


def test_everything_is_in_the_namespace_of_the_release():
    assert {one["metadata"]["namespace"] for one in render(*EVERYTHING, namespace="games")} == {"games"}
