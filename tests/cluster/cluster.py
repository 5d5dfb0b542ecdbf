"""The cluster that kubectl uses, and the release under test in it."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/dice"
NAMESPACE = os.environ.get("NAMESPACE", "dice")
RELEASE = "dice"
SERVICES = ("frontend", "dice-roller", "die-service")
DEPLOYMENTS = {"frontend": "dice-frontend", "dice-roller": "dice-roller", "die-service": "dice-die-service"}


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
        except (CommandFailed, OSError, KeyError, AssertionError, ValueError) as error:
            last = error
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not in {seconds} s: {what}; last seen: {last}")
        time.sleep(0.2)  # polling interval


def pods(component):
    """Pods that are not terminating."""
    return [one for one in objects("pods", "--selector", f"app.kubernetes.io/component={component}")
            if "deletionTimestamp" not in one["metadata"]]


def ready(pod):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def identities():
    """Every pod of the services with its number of restarts, to detect restarts."""
    return {(pod["metadata"]["uid"], sum(one["restartCount"] for one in pod["status"].get("containerStatuses", [])))
            for component in SERVICES for pod in pods(component)}


def get(url, timeout=70):
    """(status, body, headers) of any response."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


@contextlib.contextmanager
def forwarded(service, port, namespace=NAMESPACE):
    """The local address of a Service's port."""
    command = ["kubectl", "--namespace", namespace, "port-forward", f"service/{service}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, f"{' '.join(command)}: {line}{process.stdout.read() if process.poll() is not None else ''}"
            # It prints a line for each connection, and stops forwarding when the pipe is full.
            drain = threading.Thread(target=process.stdout.read)
            drain.start()
            try:
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()
                drain.join()
        finally:
            process.terminate()


class Job:
    """A Job with the load generator's image and the same rights as the chart's."""

    def __init__(self, name, *arguments, component="loadgen", **env):
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
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels},
               "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": pod}}}
        kubectl("apply", "--filename", "-", stdin=json.dumps(job))

    def pod(self):
        found = objects("pods", "--selector", f"job-name={self.name}")
        return found[0] if found else None

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


def version():
    return re.search(r"^appVersion: \"?([^\"\n]+)", (CHART / "Chart.yaml").read_text(), re.MULTILINE)[1]


def install(*arguments, wait=True):
    """Installs or upgrades the release, and returns the seconds that it took."""
    start = time.monotonic()
    helm("upgrade", "--install", RELEASE, CHART, *arguments, *(["--wait", "--timeout", "2m"] if wait else []))
    return time.monotonic() - start


def query(address, text):
    """A Prometheus query's samples."""
    status, body, _ = get(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': text})}")
    assert status == 200, f"{text}: {body}"
    return json.loads(body)["data"]["result"]


def spans_of(tempo, trace_id):
    trace = json.loads(get(f"{tempo}/api/traces/{trace_id}")[1])
    return [span for part in trace.get("batches", trace.get("resourceSpans", [])) for scope in part["scopeSpans"]
            for span in scope["spans"]]
