"""NetworkPolicies allow exactly the connections of the design."""

import pytest

from conftest import COMPONENT, METRICS_PORTS, PORTS, SERVICES, render
from network_policy import STRANGERS, Network
from renderings import STACK

INSIDE = {
    *(("frontend", "dice-roller", port) for port in PORTS["dice-roller"]),
    *(("frontend", "die-service", port) for port in PORTS["die-service"]),
    ("dice-roller", "die-service", 8402),
    ("frontend", "frontend", 9400),
    *((checker, component, PORTS[component][1]) for checker in ("loadgen", "canary") for component in PORTS),
    ("loadgen", "loadgen", 8404),
    *(("prometheus", component, port) for component, port in METRICS_PORTS.items()),
}


def test_only_what_the_design_draws_gets_through():
    """Each end enforces it: an allowed egress is also an allowed ingress, and vice versa."""
    network = Network(render("canary.enabled=true"))
    load = {(checker, "frontend", 8400) for checker in ("loadgen", "canary")}
    strangers = {(name, "frontend", 8400) for name in STRANGERS}
    everyone = {(name, "frontend", 8400) for name in network.pods}
    assert network.all(network.reaches) == INSIDE | load | strangers
    assert network.all(lambda source, target, port: network.allows(target, "ingress", source, port)) == INSIDE | everyone
    own = network.all(lambda source, target, port: source not in STRANGERS and network.allows(source, "egress", target, port))
    assert own == {one for one in INSIDE | load if one[0] not in STRANGERS}


def test_without_policies_everyone_gets_everywhere():
    """The restrictions tested above are due to the policies."""
    network = Network(render("networkPolicy.enabled=false"))
    assert ("stray", "die-service", 8402) in network.all(network.reaches)


def test_page_and_scrape_for_some_only():
    peer = "namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=monitoring"
    network = Network(render("canary.enabled=true", f"networkPolicy.frontendFrom[0].{peer}", "networkPolicy.scrapeFrom[0].podSelector.matchLabels.app=stray"))
    assert all(network.reaches(name, "frontend", 8400) for name in ("collector", "loadgen", "canary"))
    assert not network.reaches("stray", "frontend", 8400) and not network.reaches("internet", "frontend", 8400)
    for component, port in METRICS_PORTS.items():
        assert network.reaches("stray", component, port) and not network.reaches("prometheus", component, port)


NAMES = {**SERVICES, "loadgen": "dice-loadgen", "canary": "dice-canary"}


def egress(objects, component):
    return objects.one("NetworkPolicy", NAMES[component])["spec"]["egress"]


def outside(objects, component):
    """Ports, except DNS, to other pods than our own."""
    return {rule["ports"][0]["port"] for rule in egress(objects, component)
            if rule["ports"][0]["port"] != 53 and not any(COMPONENT in peer.get("podSelector", {}).get("matchLabels", {}) for peer in rule.get("to", []))}


def test_telemetry_gets_out():
    objects, alone = render(*STACK, "canary.enabled=true"), render("canary.enabled=true")
    everything = {4318, 3200, 9090, 3100}
    assert {name: outside(objects, name) for name in NAMES} == {
        "frontend": {4318, 3200, 3100}, "dice-roller": {4318}, "die-service": {4318}, "loadgen": everything, "canary": everything}
    assert not any(outside(alone, name) for name in NAMES)
    for component in NAMES:
        ports = egress(alone, component)[0]
        assert ports == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


@pytest.mark.parametrize("url, port, to", [
    ("http://collector.monitoring.svc:4318", 4318, [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]),
    ("http://collector.monitoring.svc.cluster.local", 80, [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]),
    ("http://collector:4318", 4318, [{"podSelector": {}}]),
    ("https://otlp.example.com", 443, None),
    ("http://10.0.0.7:4318", 4318, None),
])
def test_egress_follows_the_address(url, port, to):
    rule = egress(render(f"telemetry.otlpEndpoint={url}"), "die-service")[-1]
    assert rule == {"ports": [{"port": port, "protocol": "TCP"}], **({"to": to} if to else {})}


def test_more_egress():
    objects = render("networkPolicy.extraEgress[0].ports[0].port=55681", "canary.enabled=true")
    for component in NAMES:
        assert egress(objects, component)[-1] == {"ports": [{"port": 55681}]}
