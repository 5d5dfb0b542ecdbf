"""Renders the chart and the overlays without a cluster, each rendering once."""

import functools
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/dice"
# Helm built by `go install` assumes Kubernetes 1.20.
KUBERNETES = "1.34.0"
BIN = pathlib.Path(os.environ.get("DICE_BIN", ROOT / "build/release/bin"))
COMPONENT = "app.kubernetes.io/component"
SERVICES = {"frontend": "dice-frontend", "dice-roller": "dice-roller", "die-service": "dice-die-service"}
OWN = {"frontend": "frontend", "diceRoller": "dice-roller", "dieService": "die-service"}
PORTS = {"frontend": (8400, 9400), "dice-roller": (8401, 9401), "die-service": (8402, 9402)}
METRICS_PORTS = {**{component: ports[1] for component, ports in PORTS.items()}, "loadgen": 8404, "canary": 8404}
sys.path.insert(0, str(ROOT / "docs"))


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Rejects duplicate keys, like Kubernetes; PyYAML would use the last one."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"there twice, line {node.start_mark.line + 1}: {twice}"
        return super().construct_mapping(node, deep)


@functools.cache
def documents(text):
    """Must not be changed, because tests share the result."""
    return [one for one in yaml.load_all(text, StrictLoader) if one]


class Objects(list):
    """Kubernetes objects."""

    def kind(self, kind):
        return [one for one in self if one["kind"] == kind]

    def one(self, kind, name):
        found = [one for one in self.kind(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]

    def ids(self):
        return {(one["kind"], one["metadata"]["name"]) for one in self}

    def pods(self):
        """(owner, metadata, spec) of every pod that these objects would create."""
        for one in self:
            owner = f"{one['kind']} {one['metadata']['name']}"
            if one["kind"] == "Pod":
                yield owner, one["metadata"], one["spec"]
            elif one["kind"] in ("Deployment", "Job"):
                yield owner, one["spec"]["template"]["metadata"], one["spec"]["template"]["spec"]
            elif one["kind"] == "CronJob":
                template = one["spec"]["jobTemplate"]["spec"]["template"]
                yield owner, template["metadata"], template["spec"]


@functools.cache
def find_tool(name):
    """(path, None) or (None, the reason)."""
    found = subprocess.run([ROOT / "tools/go-tool.sh", name], capture_output=True, text=True)
    return (found.stdout.strip(), None) if found.returncode == 0 else (None, found.stderr.strip())


def helm(*arguments):
    path, why = find_tool("helm")
    if path is None:
        pytest.skip(f"charts not tested: {why}")
    return subprocess.run([path, *arguments], capture_output=True, text=True)


@functools.cache
def template(*arguments, release="dice", namespace="dice", chart=CHART):
    return helm("template", release, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES, *arguments)


def sets(values):
    """Helm's arguments for a tuple of "key=value", or "key:=JSON" for what --set cannot express."""
    return [argument for value in values for argument in (("--set-json", value.replace(":=", "=", 1)) if ":=" in value else ("--set", value))]


def render(*values, arguments=(), **where):
    """The objects for values such as "frontend.replicaCount=2"."""
    rendered = template(*sets(values), *arguments, **where)
    assert rendered.returncode == 0, rendered.stderr
    return Objects(documents(rendered.stdout))


def refusal(*values, arguments=(), **where):
    """Helm's error for these values."""
    rendered = template(*sets(values), *arguments, **where)
    assert rendered.returncode != 0, f"not refused: {values} {arguments}"
    return rendered.stderr


def environment(spec):
    """{name: value or valueFrom} of a pod's only container."""
    (container,) = spec["containers"]
    names = [one["name"] for one in container["env"]]
    assert len(names) == len(set(names)), f"there twice: {names}"
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def deployment(objects, component):
    return objects.one("Deployment", SERVICES[component])


def pod(objects, component):
    return deployment(objects, component)["spec"]["template"]


def variables(objects, component):
    return environment(pod(objects, component)["spec"])


@pytest.fixture
def chart(tmp_path):
    """A copy of the chart, without its rules and dashboards."""
    copy = tmp_path / "dice"
    shutil.copytree(CHART, copy)
    for folder in ("rules", "dashboards"):
        shutil.rmtree(copy / folder, ignore_errors=True)
        (copy / folder).mkdir()
    return copy


def kustomize(folder):
    if kubectl := shutil.which("kubectl"):
        build = [kubectl, "kustomize"]
    else:
        path, why = find_tool("kustomize")
        if path is None:
            pytest.skip(f"overlays not tested: {why}")
        build = [path, "build"]
    built = subprocess.run([*build, ROOT / "kustomize" / folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return Objects(documents(built.stdout))
