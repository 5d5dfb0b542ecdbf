"""Deployments: shutdown, rollout, spreading, images."""

import re

import pytest
import yaml

from conftest import CHART, COMPONENT, ROOT, SERVICES, pod, render, variables
from renderings import EVERYTHING


@pytest.mark.parametrize("delay, grace, flush", [(5, 30, 5), (0, 0, 0), (0.5, 0.2, 1.5), (60, 600, 30)])
def test_grace_period_of_the_pod_holds_the_whole_stop(delay, grace, flush):
    objects = render(f"shutdown.delaySeconds={delay}", f"shutdown.graceSeconds={grace}", f"shutdown.flushSeconds={flush}")
    for component in SERVICES:
        spec, env = pod(objects, component)["spec"], variables(objects, component)
        assert [float(env[f"SHUTDOWN_{phase}_SECONDS"]) for phase in ("DELAY", "GRACE", "FLUSH")] == [delay, grace, flush]
        # docs/configuration.md: afterwards, at most about 5 s for the last spans.
        assert delay + grace + flush + 1 < spec["terminationGracePeriodSeconds"] < delay + grace + flush + 10


def test_rollout_never_has_fewer_pods_than_wanted():
    for one in render().kind("Deployment"):
        assert one["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}


def test_replicas_are_spread_by_their_own_labels():
    for component in SERVICES:
        template = pod(render(), component)
        (constraint,) = template["spec"]["topologySpreadConstraints"]
        labels = constraint["labelSelector"]["matchLabels"]
        assert labels[COMPONENT] == component and labels.items() <= template["metadata"]["labels"].items()
    (constraint,) = pod(render("topologySpreadConstraints[0].topologyKey=zone", "topologySpreadConstraints[0].labelSelector.matchLabels.a=b"),
                        "frontend")["spec"]["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "zone" and constraint["labelSelector"]["matchLabels"]["a"] == "b"


@pytest.mark.parametrize("values, image", [
    ((), "dice/frontend:3.0.0"),
    (("image.registry=ghcr.io/acme/",), "ghcr.io/acme/dice/frontend:3.0.0"),
    (("image.tag=v4",), "dice/frontend:v4"),
    (("image.tag=v4", "frontend.image.tag=v5", "frontend.image.registry=r:5000", "frontend.image.repository=a/b"), "r:5000/a/b/frontend:v5"),
    (("frontend.image.tag=v5", f"frontend.image.digest=sha256:{'a' * 64}"), f"dice/frontend@sha256:{'a' * 64}"),
])
def test_image(values, image):
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert pod(render(*values), "frontend")["spec"]["containers"][0]["image"] == image.replace("3.0.0", version)


def test_every_program_has_its_image():
    images = {spec["containers"][0]["image"].split("/")[1].split(":")[0] for _, _, spec in render(*EVERYTHING).pods()}
    stages = set(re.findall(r"^FROM base AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert images == stages
