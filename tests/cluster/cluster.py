"""The cluster that kubectl uses, and the release under test in it."""

import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

import forward
from forward import WayFailed, get

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/dice"
NAMESPACE = os.environ.get("NAMESPACE", "dice")
RELEASE = "dice"
SERVICES = ("frontend", "dice-roller", "die-service")
DEPLOYMENTS = {"frontend": "dice-frontend", "dice-roller": "dice-roller", "die-service": "dice-die-service"}
# The chart's default.
REPLICAS = 2
URL = "http://dice-frontend:8400"
METRICS_PORTS = {"frontend": 9400, "dice-roller": 9401, "die-service": 9402}
METRICS = ",".join(f"http://{DEPLOYMENTS[name]}-metrics:{port}" for name, port in METRICS_PORTS.items())

MONITORING = "monitoring"
COLLECTOR, TEMPO, LOKI = "otel-gateway", "tempo", "loki"
PROMETHEUS = "kps-kube-prometheus-stack-prometheus"
WITH_STACK = ("--values", ROOT / "stack/dice.yaml", "--set", "loadgen.job.enabled=true", "--set", "loadgen.cronjob.enabled=true",
              "--set", "loadgen.cronjob.schedule=* * * * *")


class CommandFailed(Exception):
    pass


def run(*command, stdin=None, timeout=300, both=False):
    """The standard output of a command, or that and its standard error."""
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if both else "")


def kubectl(*arguments, **more):
    return run("kubectl", "--namespace", NAMESPACE, *arguments, **more)


def objects(kind, *arguments):
    return json.loads(kubectl("get", kind, "--output", "json", *arguments))["items"]


def helm(*arguments, **more):
    return run("helm", "--namespace", NAMESPACE, *arguments, **more)


def helm_test():
    """The output, including the test's own log, which Helm writes to standard error."""
    return helm("test", RELEASE, "--timeout", "5m", timeout=400, both=True)


def wait_for(what, condition, seconds):
    """The first true value of `condition`, and the seconds until then. An exception counts as false."""
    start = time.monotonic()
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last, time.monotonic() - start
        except (CommandFailed, WayFailed, OSError, KeyError, AssertionError, ValueError) as error:
            last = error
        if time.monotonic() - start > seconds:
            kind = WayFailed if isinstance(last, WayFailed) else AssertionError
            raise kind(f"not in {seconds} s: {what}; last seen: {last}")
        time.sleep(0.2)  # polling interval


def pods(component):
    """Pods that are not terminating."""
    return [one for one in objects("pods", "--selector", f"app.kubernetes.io/component={component}")
            if "deletionTimestamp" not in one["metadata"]]


def ready(pod):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def whole(service, count=REPLICAS):
    """Whether it has exactly so many pods, all ready, and no terminating ones."""
    found = objects("pods", "--selector", f"app.kubernetes.io/component={service}")
    return len(found) == count and all(ready(one) for one in found)


def scale(service, count):
    kubectl("scale", "deployment", DEPLOYMENTS[service], f"--replicas={count}")


def identities():
    """Every pod of the services with its number of restarts, to detect restarts."""
    return {(pod["metadata"]["uid"], sum(one["restartCount"] for one in pod["status"].get("containerStatuses", [])))
            for component in SERVICES for pod in pods(component)}


def forwarded(target, port, namespace=NAMESPACE):
    """The local address of a port of `target`, a Service's name or pod/NAME."""
    return forward.forwarded(target, port, namespace)


class Job:
    """A Job with the load generator's image and the same rights as the chart's; `not_on` is a node to avoid."""

    def __init__(self, name, *arguments, component="loadgen", not_on=None, **env):
        self.name = name
        image = f"dice/loadgen:{version()}"
        kubectl("delete", "job", name, "--ignore-not-found", "--cascade=foreground", "--wait")
        labels = {"app.kubernetes.io/name": "dice", "app.kubernetes.io/instance": RELEASE,
                  "app.kubernetes.io/component": component, "job": name}
        container = {"name": "loadgen", "image": image, "args": list(map(str, arguments)),
                     "env": [{"name": key, "value": str(value)} for key, value in env.items()],
                     "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                         "capabilities": {"drop": ["ALL"]}}}
        pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container],
               "securityContext": {"runAsNonRoot": True, "runAsUser": 65532,
                                   "seccompProfile": {"type": "RuntimeDefault"}}}
        if not_on:
            avoid = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [not_on]}
            pod["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [avoid]}]}}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels},
               "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": pod}}}
        kubectl("apply", "--filename", "-", stdin=json.dumps(job))

    def pod(self):
        found = objects("pods", "--selector", f"job-name={self.name}")
        if not found:
            raise KeyError(f"{self.name} has no pod")
        return found[0]

    def wait_until_running(self):
        wait_for(f"{self.name} runs", lambda: self.pod()["status"]["phase"] == "Running", 60)

    def running(self):
        return self.pod()["status"]["phase"] == "Running"

    def result(self, seconds):
        """(exit code, output)"""
        state, _ = wait_for(f"{self.name} ends", lambda: self.pod()["status"]["containerStatuses"][0]["state"].get("terminated"),
                            seconds)
        # The node may not know yet that a container has ended immediately.
        output, _ = wait_for("its log can be read", lambda: [kubectl("logs", f"job/{self.name}")], 30)
        kubectl("delete", "job", self.name, "--cascade=foreground", "--wait")
        return state["exitCode"], output[0]


def summary_of(output):
    """The JSON summary in the output of `loadgen traffic --json`."""
    return json.JSONDecoder().raw_decode(output[output.index("{"):])[0]


def version():
    return re.search(r"^appVersion: \"?([^\"\n]+)", (CHART / "Chart.yaml").read_text(), re.MULTILINE)[1]


def install(*arguments, wait=True):
    """Installs or upgrades the release, and returns the seconds that it took."""
    start = time.monotonic()
    helm("upgrade", "--install", RELEASE, CHART, *arguments, *(["--wait", "--timeout", "2m"] if wait else []))
    return time.monotonic() - start


def uninstall():
    """Returns when the pods are gone, too: until then, a release of the same name may send requests to them."""
    helm("uninstall", RELEASE, "--ignore-not-found", "--wait", "--cascade", "foreground")


def query(address, text):
    """A Prometheus query's samples."""
    status, body, _ = get(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': text})}")
    assert status == 200, f"{text}: {body}"
    return json.loads(body)["data"]["result"]


class Counters:
    """The counters of all pods of a service, read through a port-forward to each. A context manager; the pods must last."""

    def __init__(self, service):
        self.service = service
        self.forwards = contextlib.ExitStack()

    def __enter__(self):
        port = METRICS_PORTS[self.service]
        self.addresses = [self.forwards.enter_context(forwarded(f"pod/{pod['metadata']['name']}", port)) for pod in pods(self.service)]
        return self

    def __exit__(self, *_):
        self.forwards.close()

    def read(self, name):
        """The values by labels, added over all pods."""
        sums = collections.Counter()
        for address in self.addresses:
            for labels, value in re.findall(rf"^{name}(?:{{(.*)}})? (\S+)", get(f"{address}/metrics")[1], re.MULTILINE):
                sums[frozenset(re.findall(r'(\w+)="([^"]*)"', labels))] += float(value)
        return sums


def total(counter, **labels):
    """The sum of all values that have these labels."""
    return sum(value for key, value in counter.items() if key >= set(labels.items()))


def spans_of(tempo, trace_id):
    trace = json.loads(get(f"{tempo}/api/traces/{trace_id}")[1])
    return [span for part in trace.get("batches", trace.get("resourceSpans", [])) for scope in part["scopeSpans"]
            for span in scope["spans"]]
