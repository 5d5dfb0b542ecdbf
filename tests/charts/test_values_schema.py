"""Values that the chart rejects, by its schema or its checks."""

import re

import pytest

from chart_values import FREE, SCHEMA, VALUES, leaves
from conftest import OWN, refusal


@pytest.mark.parametrize("value, wanted", [
    ("replicaCount=-1", "replicaCount"),
    ("frontend.replicaCount=-1", "frontend/replicaCount"),
    ("replicaCount=1.5", "replicaCount"),
    ("autoscaling.target=1", "autoscaling"),
    ("frontend.autoscaling.target=0", "frontend/autoscaling/target"),
    ("diceRoller.strategy=most", "diceRoller/strategy"),
    ("diceRoller.maxAsyncRolls=0", "maxAsyncRolls"),
    ("diceRoller.seed=-2", "seed"),
    ("diceRoller.rollDelaySeconds.max=61", "rollDelaySeconds/max"),
    ("diceRoller.rollDelaySeconds.max=soon", "rollDelaySeconds/max"),
    ("logLevel=all", "logLevel"),
    ("dieService.logLevel=all", "dieService/logLevel"),
    ("shutdown.delaySeconds=601", "delaySeconds"),
    ("telemetry.otlpEndpoint=collector:4318", "otlpEndpoint"),
    ("grafana.url=grafana", "grafana/url"),
    ("grafana.url=http://user:password@grafana", "grafana/url"),
    ("telemetry.tempoUrl=http://tempo:port", "tempoUrl"),
    ("telemetry.lokiUrl=http://[::1", "lokiUrl"),
    ("telemetry.prometheusUrl=http://prometheus?x=1", "prometheusUrl"),
    ("telemetry.resourceAttributes.team=a\\,b", "team"),
    ("image.digest=sha256:0", "digest"),
    ("frontend.image.digest=sha256:0", "frontend/image/digest"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("env.LOG_LEVEL.secret=x", "env/LOG_LEVEL"),
    ("dieService.specifications._x.faces={1}", "_x"),
    ("dieService.specifications.x.faces={}", "faces"),
    ("dieService.specifications.x.error_rate=0.1", "faces"),
    ("dieService.specifications.x.rate=1", "rate"),
    ("ingress.hosts:=[]", "ingress/hosts"),
    ("loadgen.replicaCount=2", "replicaCount"),
    ("loadgen.job.parallelism=0", "loadgen/job/parallelism"),
    ("canary.replicaCount=2", "replicaCount"),
    ("canary.everySeconds=0", "canary/everySeconds"),
    ("frontend.externalService.nodePort=-1", "externalService/nodePort"),
    ("frontend.externalService.type=ClusterIP", "externalService/type"),
])
def test_value_is_refused_by_its_name(value, wanted):
    assert wanted.replace("/", ".") in refusal(value).replace("/", ".")  # the path as written by Helm 3.18 and by older versions


MAPS = sorted({path[:length] for path, value in leaves(VALUES) for length in range(len(path))})


@pytest.mark.parametrize("path", MAPS, ids=".".join)
def test_misspelt_key_is_refused_by_its_name(path):
    # The wording depends on the version of Helm (before or after 3.18).
    assert re.search("roperty mispelt is not allowed|roperties 'mispelt' not allowed", refusal(".".join((*path, "mispelt")) + "=1"))


@pytest.mark.parametrize("values, wanted", [
    (("diceRoller.rollDelaySeconds.min=2",), "diceRoller.rollDelaySeconds.max (1) must be at least min (2)"),
    (("diceRoller.maxRollThreads=10",), "diceRoller.maxAsyncRolls (20) must be at most maxRollThreads (10)"),
    (("frontend.autoscaling.enabled=true", "autoscaling.minReplicas=9"), "autoscaling.maxReplicas (5) of frontend must be at least minReplicas (9)"),
    (("diceRoller.autoscaling.enabled=true",), "autoscaling.enabled of dice-roller requires telemetry.prometheusUrl"),
    (("httpRoute.enabled=true",), "httpRoute.parentRefs is empty"),
    (("dieService.specifications.x.faces={1}", "dieService.specificationsFile=x"), "only one of dieService.specifications and dieService.specificationsFile"),
    (("dieService.specificationsFile=fair: [",), "dieService.specificationsFile"),
])
def test_values_that_do_not_fit_each_other_are_refused(values, wanted):
    assert wanted in refusal(*values)


def test_schema_knows_the_values_and_no_others():
    def resolved(schema):
        return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def known(schema, path=()):
        for key, below in schema.get("properties", {}).items():
            below = resolved(below)
            if "properties" in below and key not in FREE and key not in ("startup", "liveness", "readiness"):
                yield from known(below, (*path, key))
            else:
                yield (*path, key)

    shared = set(SCHEMA["properties"]["frontend"]["properties"]) & set(SCHEMA["properties"]["dieService"]["properties"])
    def own(path):
        """Whether the path is not just the override of a shared value."""
        return path[0] not in (*OWN, "loadgen", "canary") or path[1] not in shared or path[-1] == "target"

    assert {path for path in known(SCHEMA) if path != ("global",) and own(path)} == {path for path, _ in leaves(VALUES) if own(path)}
    for own in OWN:
        assert shared <= set(SCHEMA["properties"][own]["properties"])
    assert shared <= set(SCHEMA["properties"])


def test_schema_is_closed():
    def check(schema, path):
        if isinstance(schema, dict):
            if "properties" in schema and "type" in schema:
                assert schema.get("additionalProperties") is False, path
            for key, below in schema.items():
                check(below, f"{path}/{key}")
    check(SCHEMA, "")
