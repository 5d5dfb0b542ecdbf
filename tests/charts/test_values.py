"""Values: each switch creates its objects, shared values apply to all services and specific values to one, and the table is complete."""

import pytest
import yaml

import generate
from chart_values import SCHEMA, VALUES, leaves
from conftest import CHART, COMPONENT, SERVICES, deployment, pod, render

ALL = tuple(SERVICES.values())
SWITCHES = {
    "serviceAccount.create": ((), {("ServiceAccount", name) for name in (*ALL, "dice-loadgen")}),
    "podDisruptionBudget.enabled": ((), {("PodDisruptionBudget", name) for name in ALL}),
    "autoscaling.enabled": (("telemetry.prometheusUrl=http://prometheus:9090",), {("ScaledObject", name) for name in ALL}),
    "networkPolicy.enabled": ((), {("NetworkPolicy", name) for name in (*ALL, "dice-loadgen")}),
    "tests.enabled": ((), {("Pod", "dice-verify"), ("ServiceAccount", "dice-loadgen"), ("NetworkPolicy", "dice-loadgen")}),
    "loadgen.job.enabled": ((), {("Job", "dice-loadgen-1")}),
    "loadgen.cronjob.enabled": ((), {("CronJob", "dice-loadgen")}),
    "canary.enabled": ((), {(kind, "dice-canary") for kind in ("Deployment", "ServiceAccount", "NetworkPolicy")}),
    "serviceMonitor.enabled": ((), {("ServiceMonitor", "dice"), ("PodMonitor", "dice")}),
    "ingress.enabled": ((), {("Ingress", "dice-frontend")}),
    "httpRoute.enabled": (("httpRoute.parentRefs[0].name=public",), {("HTTPRoute", "dice-frontend")}),
    "frontend.externalService.enabled": ((), {("Service", "dice-frontend-external")}),
    # Those that render files are tested below, with the test's own files.
    "prometheusRule.enabled": None,
    "dashboards.enabled": None,
}


def test_every_switch_is_tested():
    switches = {".".join(path) for path, _ in leaves(VALUES) if path[-1] in ("enabled", "create")}
    assert switches == set(SWITCHES)


@pytest.mark.parametrize("switch", [name for name, case in SWITCHES.items() if case])
def test_switch(switch):
    more, wanted = SWITCHES[switch]
    on, off = render(f"{switch}=true", *more).ids(), render(f"{switch}=false", *more).ids()
    assert on - off == wanted and not off - on


def test_nothing_of_the_load_generator_when_it_is_off():
    assert not [name for _, name in render("tests.enabled=false").ids() if "loadgen" in name]


OVERRIDES = {
    "image": "image.tag=x",
    "imagePullSecrets": "imagePullSecrets[0].name=x",
    "replicaCount": "replicaCount=0",
    "autoscaling": "autoscaling.enabled=true,telemetry.prometheusUrl=http://prometheus:9090",
    "podDisruptionBudget": "podDisruptionBudget.enabled=false",
    "logLevel": "logLevel=debug",
    "env": "env.FAULTS_ENABLED=true",
    "shutdown": "shutdown.delaySeconds=0",
    "resources": "resources.limits.memory=1Gi",
    "probes": "probes.liveness.periodSeconds=99",
    "podSecurityContext": "podSecurityContext.fsGroup=1",
    "securityContext": "securityContext.privileged=false",
    "serviceAccount": "serviceAccount.create=false",
    "podLabels": "podLabels.x=y",
    "podAnnotations": "podAnnotations.x=y",
    "nodeSelector": "nodeSelector.x=y",
    "tolerations": "tolerations[0].operator=Exists",
    "affinity": "affinity.nodeAffinity.x=y",
    "topologySpreadConstraints": "topologySpreadConstraints:=[]",
    "priorityClassName": "priorityClassName=high",
}


def of(objects, component):
    return [one for one in objects if one["metadata"]["labels"].get(COMPONENT) == component and one["kind"] != "Pod"]


def test_every_shared_value_is_tested():
    own = SCHEMA["properties"]
    shared = set(own["frontend"]["properties"]) & set(own["dieService"]["properties"])
    assert set(OVERRIDES) == shared


@pytest.mark.parametrize("key", OVERRIDES)
def test_shared_value_counts_for_all_and_own_for_one(key):
    value = OVERRIDES[key]
    default, shared, own = render(), render(value), render(f"dieService.{value}")
    for component in SERVICES:
        assert of(shared, component) != of(default, component), component
    assert of(own, "die-service") == of(shared, "die-service")
    for component in ("frontend", "dice-roller"):
        assert of(own, component) == of(default, component), component


def test_own_value_wins_over_shared_even_when_it_is_zero_or_false():
    objects = render("replicaCount=3", "frontend.replicaCount=0", "frontend.autoscaling.enabled=false", OVERRIDES["autoscaling"])
    assert deployment(objects, "frontend")["spec"]["replicas"] == 0
    assert "replicas" not in deployment(objects, "dice-roller")["spec"]


def test_maps_are_merged():
    resources = pod(render("dieService.resources.limits.memory=1Gi"), "die-service")["spec"]["containers"][0]["resources"]
    assert resources == {"requests": VALUES["resources"]["requests"], "limits": {"memory": "1Gi"}}


def test_table_of_values_is_fresh():
    page = CHART / "README.md"
    assert generate.render(page, generate.contract.default_bin()) == page.read_text(), "charts/dice/README.md is out of date: run docs/generate.py"


def test_table_of_values_has_them_all():
    table = {tuple(key.split(".")): yaml.safe_load(default) for key, default, _ in generate.chart_values((CHART / "values.yaml").read_text())}
    assert table == dict(leaves(VALUES))
