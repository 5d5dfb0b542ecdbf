"""A simulator of NetworkPolicies: which pods can connect to which."""

from conftest import COMPONENT, METRICS_PORTS, PORTS

STRANGERS = {
    "stray": ("dice", {"app": "stray"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "collector": ("monitoring", {"app": "collector"}),
    "tempo": ("monitoring", {"app": "tempo"}),
    "internet": (None, {}),
}
OWN_PORTS = {*(ports[0] for ports in PORTS.values()), *METRICS_PORTS.values()}


class Network:
    """Decides which connections these policies allow. Namespaces have their name as a label, as in every cluster."""

    def __init__(self, objects):
        self.policies = objects.kind("NetworkPolicy")
        self.pods = dict(STRANGERS)
        for _, metadata, _ in objects.pods():
            self.pods[metadata["labels"][COMPONENT]] = ("dice", metadata["labels"])

    @staticmethod
    def selects(selector, labels):
        assert set(selector) <= {"matchLabels"}
        return selector.get("matchLabels", {}).items() <= labels.items()

    def is_peer(self, peer, name):
        assert set(peer) <= {"namespaceSelector", "podSelector"}
        namespace, labels = self.pods[name]
        if namespace is None:
            return False
        if "namespaceSelector" not in peer:
            inside = namespace == "dice"
        else:
            inside = self.selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
        return inside and self.selects(peer.get("podSelector", {}), labels)

    def allows(self, name, direction, other, port):
        namespace, labels = self.pods[name]
        rules = [policy["spec"] for policy in self.policies if namespace == "dice" and self.selects(policy["spec"]["podSelector"], labels)]
        rules = [spec for spec in rules if direction.capitalize() in spec["policyTypes"]]
        ends = "from" if direction == "ingress" else "to"
        return not rules or any(
            any(one["port"] == port and one["protocol"] == "TCP" for one in rule["ports"])
            and (ends not in rule or any(self.is_peer(peer, other) for peer in rule[ends]))
            for spec in rules for rule in spec.get(direction, []))

    def reaches(self, source, target, port):
        return self.allows(source, "egress", target, port) and self.allows(target, "ingress", source, port)

    def all(self, allowed):
        """(source, target, port) for which `allowed` is true, for each port of each of our pods."""
        return {(source, target, port) for source in self.pods for target in self.pods if target not in STRANGERS
                for port in OWN_PORTS if allowed(source, target, port)}
