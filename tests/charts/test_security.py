"""Every pod is restricted, and the check detects one that is not."""

import pytest

from conftest import render
from pod_security import restricted_violations
from renderings import RENDERINGS, every_rendering


@every_rendering
def test_pods_are_restricted(values):
    for owner, _, spec in render(*values).pods():
        assert not list(restricted_violations(spec)), owner


def test_all_kinds_of_pods_are_among_the_renderings():
    owners = {owner for values in RENDERINGS.values() for owner, _, _ in render(*values).pods()}
    assert {"Deployment dice-frontend", "Deployment dice-roller", "Deployment dice-die-service",
            "Deployment dice-canary", "Pod dice-verify", "Job dice-loadgen-1", "CronJob dice-loadgen"} <= owners


@pytest.mark.parametrize("value, violation", [
    ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot"),
    ("podSecurityContext.runAsUser=0", "runAsUser"),
    ("podSecurityContext.seccompProfile.type=Unconfined", "seccompProfile"),
    ("securityContext.allowPrivilegeEscalation=true", "allowPrivilegeEscalation"),
    ("securityContext.privileged=true", "privileged"),
    ("securityContext.readOnlyRootFilesystem=false", "readOnlyRootFilesystem"),
    ("securityContext.capabilities.drop={NET_RAW}", "capabilities"),
    ("resources.limits.memory=null", "resources"),
])
def test_what_is_not_restricted_is_seen(value, violation):
    canary = (value.replace("resources", "canary.resources"), "canary.enabled=true")
    pods = list(render(value, *canary, "loadgen.job.enabled=true", "loadgen.cronjob.enabled=true").pods())
    assert len(pods) == 7
    for owner, _, spec in pods:
        assert violation in list(restricted_violations(spec)), owner
