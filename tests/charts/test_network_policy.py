"""NetworkPolicies allow exactly the connections of the design."""

import pytest

from conftest import COMPONENT, PORTS, SERVICES, render
from network_policy import STRANGERS, Network
from renderings import STACK

INSIDE = {
    *(("frontend", "dice-roller", port) for port in PORTS["dice-roller"]),
    *(("frontend", "die-service", port) for port in PORTS["die-service"]),
    ("dice-roller", "die-service", 8402),
    *(("loadgen", "frontend", port) for port in PORTS["frontend"]),
    ("loadgen", "dice-roller", 9401),
    ("loadgen", "die-service", 9402),
    *(("prometheus", component, PORTS[component][1]) for component in PORTS),
}


def test_only_what_the_design_draws_gets_through():
    """Each end enforces it: an allowed egress is also an allowed ingress, and vice versa."""
    network = Network(render())
    strangers = {(name, "frontend", 8400) for name in STRANGERS}
    everyone = {(name, "frontend", 8400) for name in network.pods if name != "frontend"}
    assert network.all(network.reaches) == INSIDE | strangers
    assert network.all(lambda source, target, port: network.allows(target, "ingress", source, port)) == INSIDE | everyone
    own = network.all(lambda source, target, port: source not in STRANGERS and network.allows(source, "egress", target, port))
    assert own == {one for one in INSIDE if one[0] not in STRANGERS}


def test_without_policies_everyone_gets_everywhere():
    """The restrictions tested above are due to the policies."""
    network = Network(render("networkPolicy.enabled=false"))
    assert ("stray", "die-service", 8402) in network.all(network.reaches)


def test_page_and_scrape_for_some_only():
    peer = "namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=monitoring"
    network = Network(render(f"networkPolicy.frontendFrom[0].{peer}", "networkPolicy.scrapeFrom[0].podSelector.matchLabels.app=stray"))
    assert network.reaches("collector", "frontend", 8400) and network.reaches("loadgen", "frontend", 8400)
    assert not network.reaches("stray", "frontend", 8400) and not network.reaches("internet", "frontend", 8400)
    assert network.reaches("stray", "die-service", 9402) and not network.reaches("prometheus", "die-service", 9402)


def egress(objects, component):
    name = "dice-loadgen" if component == "loadgen" else SERVICES[component]
    return objects.one("NetworkPolicy", name)["spec"]["egress"]


def outside(objects, component):
    """Ports, except DNS, to other pods than our own."""
    return {rule["ports"][0]["port"] for rule in egress(objects, component)
            if rule["ports"][0]["port"] != 53 and not any(COMPONENT in peer.get("podSelector", {}).get("matchLabels", {}) for peer in rule.get("to", []))}


def test_telemetry_gets_out():
    objects = render(*STACK)
    assert {name: outside(objects, name) for name in (*SERVICES, "loadgen")} == {
        "frontend": {4318, 3200, 3100}, "dice-roller": {4318}, "die-service": {4318}, "loadgen": {4318, 3200, 9090, 3100}}
    assert not any(outside(render(), name) for name in (*SERVICES, "loadgen"))
    for component in (*SERVICES, "loadgen"):
        ports = egress(render(), component)[0]
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
    objects = render("networkPolicy.extraEgress[0].ports[0].port=55681")
    for component in (*SERVICES, "loadgen"):
        assert egress(objects, component)[-1] == {"ports": [{"port": 55681}]}
