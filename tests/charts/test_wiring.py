"""Selectors, ports and addresses match the right pods, and only the page is reachable from outside."""

from urllib.parse import urlsplit

import pytest

from conftest import COMPONENT, METRICS_PORTS, PORTS, SERVICES, environment, render, variables
from renderings import every_rendering


def chosen(objects, selector):
    """The components of the pods that a selector matches."""
    return {metadata["labels"][COMPONENT] for _, metadata, _ in objects.pods() if selector.items() <= metadata["labels"].items()}


@every_rendering
def test_selectors_choose_the_pods_of_their_own_component(values):
    objects = render(*values)
    for one in objects:
        component, spec = one["metadata"]["labels"].get(COMPONENT), one.get("spec", {})
        if one["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert chosen(objects, spec["selector"]["matchLabels"]) == {component}
        elif one["kind"] == "Service":
            assert chosen(objects, spec["selector"]) == {component}
        elif one["kind"] == "NetworkPolicy":
            assert chosen(objects, spec["podSelector"]["matchLabels"]) == {component}
        elif one["kind"] == "ScaledObject":
            target = objects.one(spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
            assert target["metadata"]["labels"][COMPONENT] == component and "replicas" not in target["spec"]


@every_rendering
def test_ports_that_are_named_exist(values):
    objects = render(*values)
    # The pod of helm test has no ports.
    pods = {metadata["labels"][COMPONENT]: {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
            for _, metadata, spec in objects.pods() if "ports" in spec["containers"][0]}
    for component, ports in pods.items():
        assert ports == {"metrics": METRICS_PORTS[component], **({"http": PORTS[component][0]} if component in PORTS else {})}
    services = {one["metadata"]["name"]: {port["name"]: port["port"] for port in one["spec"]["ports"]} for one in objects.kind("Service")}
    for one in objects.kind("Service"):
        ports = pods[one["metadata"]["labels"][COMPONENT]]
        assert all(port["targetPort"] in ports for port in one["spec"]["ports"])
        if one["spec"]["type"] == "ClusterIP":
            # A headless Service needs the pods' own ports.
            assert services[one["metadata"]["name"]].items() <= ports.items()
    for one in objects.kind("Ingress"):
        for rule in one["spec"]["rules"]:
            backend = rule["http"]["paths"][0]["backend"]["service"]
            assert backend["port"]["name"] in services[backend["name"]]
    for one in objects.kind("HTTPRoute"):
        (backend,) = one["spec"]["rules"][0]["backendRefs"]
        assert backend["port"] == services[backend["name"]]["http"]
    inside = 0
    for owner, _, spec in objects.pods():
        for name, value in environment(spec).items():
            if name.endswith("_URL") and name not in ("TEMPO_URL", "LOKI_URL", "GRAFANA_URL") or name == "LOADGEN_METRICS":
                for address in value.split(","):
                    url = urlsplit(address)
                    wanted = "metrics" if "METRICS" in name else "http"
                    assert services[url.hostname] == {wanted: url.port}, f"{owner}: {name}={value}"
                    inside += 1
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in spec["containers"][0]:
                assert spec["containers"][0][probe]["httpGet"]["port"] in {port["name"] for port in spec["containers"][0]["ports"]}
    assert inside >= 5


def test_frontend_reaches_both_services_by_the_right_ports():
    env = variables(render(), "frontend")
    assert (env["DICE_ROLLER_URL"], env["DICE_ROLLER_METRICS_URL"]) == ("http://dice-roller:8401", "http://dice-roller-metrics:9401")
    assert (env["DIE_SERVICE_URL"], env["DIE_SERVICE_METRICS_URL"]) == ("http://dice-die-service:8402", "http://dice-die-service-metrics:9402")
    assert env["FRONTEND_METRICS_URL"] == "http://dice-frontend-metrics:9400"
    assert variables(render(), "dice-roller")["DIE_SERVICE_URL"] == "http://dice-die-service:8402"


def test_name_of_the_metrics_ports_stands_for_every_pod():
    objects = render()
    for name in SERVICES.values():
        spec = objects.one("Service", f"{name}-metrics")["spec"]
        # Pods that start or terminate have spans and counters, too.
        assert spec["clusterIP"] == "None" and spec["publishNotReadyAddresses"] is True
        assert "clusterIP" not in objects.one("Service", name)["spec"]


def test_only_the_page_is_for_those_outside():
    external = render("frontend.externalService.enabled=true").one("Service", "dice-frontend-external")
    (port,) = external["spec"]["ports"]
    assert external["spec"]["type"] == "LoadBalancer" and port["targetPort"] == "http" and "nodePort" not in port
    for component in SERVICES:
        assert variables(render(), component)["METRICS_ON_MAIN_PORT"] == "false"


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_port_on_each_node(kind):
    service = "frontend.externalService"
    external = render(f"{service}.enabled=true", f"{service}.type={kind}", f"{service}.nodePort=30840").one("Service", "dice-frontend-external")
    assert external["spec"]["type"] == kind and [port["nodePort"] for port in external["spec"]["ports"]] == [30840]


def test_ways_in():
    objects = render("ingress.enabled=true", "ingress.className=nginx", "ingress.hosts={a.example.com,b.example.com}",
                     "ingress.tls[0].secretName=t", "ingress.annotations.x=y", "httpRoute.enabled=true",
                     "httpRoute.parentRefs[0].name=public", "httpRoute.hostnames={c.example.com}", "httpRoute.annotations.x=y")
    ingress, route = objects.one("Ingress", "dice-frontend"), objects.one("HTTPRoute", "dice-frontend")
    assert ingress["spec"]["ingressClassName"] == "nginx" and ingress["spec"]["tls"] == [{"secretName": "t"}]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["a.example.com", "b.example.com"]
    assert route["spec"]["parentRefs"] == [{"name": "public"}] and route["spec"]["hostnames"] == ["c.example.com"]
    assert ingress["metadata"]["annotations"] == route["metadata"]["annotations"] == {"x": "y"}
