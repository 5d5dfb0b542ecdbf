"""The environment variables of the pods, those of OpenTelemetry included."""

import re

import yaml

import generate
from conftest import BIN, CHART, COMPONENT, OWN, ROOT, environment, render, variables
from renderings import EVERYTHING, STACK, every_rendering


def value_file(folder, values):
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return ("--values", str(file))


def known_variables(section):
    page = (ROOT / "docs/configuration.md").read_text()
    table = page.split(f"<!-- generated: {section} -->")[1].split(f"<!-- end: {section} -->")[0]
    names = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert names
    return names


@every_rendering
def test_variables_exist(values):
    for owner, metadata, spec in render(*values).pods():
        component = metadata["labels"][COMPONENT]
        names = {name for name in environment(spec) if not name.startswith("K8S_")}
        if component in ("loadgen", "canary"):
            flags = generate.options(BIN / "loadgen", spec["containers"][0]["args"][0])
            known = {name.split(", ")[-1] for name in flags} | known_variables("common")
            assert len(known) > 25
        else:
            known = known_variables("common") | known_variables(component)
        assert names <= known, f"{owner}: {names - known}"


def test_values_reach_the_variables_that_their_comments_name():
    """Each value whose comment begins with a variable's name changes that variable in the right pods."""
    named = [(key, default, re.match(r"`([A-Z_]+)`", meaning)) for key, default, meaning in generate.chart_values((CHART / "values.yaml").read_text())]
    cases = [(key, default, match[1]) for key, default, match in named if match]
    assert len(cases) >= 15
    other = {"info": "warn", "all-or-nothing": "best-effort"}
    for key, default, name in cases:
        value = other.get(default) or str(float(default) + 1).removesuffix(".0")
        if key == "diceRoller.rollDelaySeconds.min":
            value = "0.5"
        component = OWN.get(key.split(".")[0], "frontend")
        assert variables(render(), component)[name] == default, key
        assert variables(render(f"{key}={value}"), component)[name] == value, key
    assert variables(render("diceRoller.maxAsyncRolls=7"), "frontend")["MAX_ASYNC_ROLLS"] == "7"


def test_numbers_are_written_in_full(tmp_path):
    values = {"env": {"OTEL_BSP_MAX_QUEUE_SIZE": 1000000, "FAULTS_ENABLED": True, "LOG_LEVEL": "debug"}, "dieService": {"specifications": {"x": {"faces": [1000000]}}}}
    objects = render(arguments=value_file(tmp_path, values))
    env = variables(objects, "die-service")
    assert (env["OTEL_BSP_MAX_QUEUE_SIZE"], env["FAULTS_ENABLED"], env["LOG_LEVEL"]) == ("1000000", "true", "debug")
    assert objects.one("ConfigMap", "dice-die-service")["data"]["dice.yaml"].split() == ["x:", "faces:", "-", "1000000"]


def test_variable_from_a_secret(tmp_path):
    source = {"secretKeyRef": {"name": "otlp", "key": "headers"}}
    env = variables(render(arguments=value_file(tmp_path, {"env": {"OTEL_EXPORTER_OTLP_HEADERS": {"valueFrom": source}}})), "frontend")
    assert env["OTEL_EXPORTER_OTLP_HEADERS"] == source


@every_rendering
def test_telemetry_says_who_speaks(values):
    for owner, metadata, spec in render(*values, r"telemetry.resourceAttributes.deployment\.environment\.name=staging").pods():
        component, env = metadata["labels"][COMPONENT], environment(spec)
        assert env["OTEL_SERVICE_NAME"] == metadata["annotations"]["resource.opentelemetry.io/service.name"] == component
        attributes = dict(pair.split("=") for pair in env["OTEL_RESOURCE_ATTRIBUTES"].split(","))
        assert {"service.namespace", "service.instance.id", "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.node.name"} <= set(attributes)
        assert attributes["deployment.environment.name"] == "staging" and attributes["k8s.container.name"] == spec["containers"][0]["name"]
        assert attributes.get("k8s.deployment.name", owner.split()[1]) == owner.split()[1]
        # A reference requires that the variable is defined before.
        names = list(env)
        for name, value in env.items():
            for reference in re.findall(r"\$\((\w+)\)", value if isinstance(value, str) else ""):
                assert names.index(reference) < names.index(name)


def test_spans_are_exported_where_an_address_is_given():
    for _, _, spec in render("loadgen.job.enabled=true", "canary.enabled=true").pods():
        assert environment(spec)["OTEL_TRACES_EXPORTER"] == "none" and "OTEL_EXPORTER_OTLP_ENDPOINT" not in environment(spec)
    for _, _, spec in render(*EVERYTHING).pods():
        assert environment(spec)["OTEL_TRACES_EXPORTER"] == "otlp"
        assert environment(spec)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-gateway.monitoring.svc:4318"
    env = variables(render(*STACK), "frontend")
    assert (env["TEMPO_URL"], env["GRAFANA_URL"]) == ("http://tempo.monitoring.svc.cluster.local:3200", "https://grafana.example.com")
    assert env["LOKI_URL"] == "http://loki.monitoring.svc:3100"
    assert not {"TEMPO_URL", "LOKI_URL", "GRAFANA_URL"} & set(variables(render(), "frontend"))
