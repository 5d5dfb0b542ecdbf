"""make e2e: requires a cluster with the project's images, kubectl and helm; tests/cluster/run.sh provides them."""

import contextlib
import json
import os
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import forward  # noqa: E402
from cluster import (COLLECTOR, LOKI, MONITORING, NAMESPACE, PROMETHEUS, TEMPO, WITH_STACK, CommandFailed, forwarded,  # noqa: E402
                     get, helm, install, run, uninstall, wait_for)


@pytest.fixture(scope="session")
def say(pytestconfig):
    """Prints measurements, even if pytest captures output."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")

    def line(text):
        with capture.global_and_fixture_disabled():
            print(f"\n  {text}", end="", flush=True)
    return line


@pytest.fixture(scope="session", autouse=True)
def namespace():
    """A namespace for these tests that enforces `restricted`. It is kept, without the release."""
    labels = ("kubernetes.io/metadata.name=" + NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    try:
        run("kubectl", "create", "namespace", NAMESPACE)
    except CommandFailed as error:
        assert "AlreadyExists" in str(error), error
    assert "dice" not in helm("list", "--short", "--all").split(), \
        f"there is a release dice in the namespace {NAMESPACE}, which make e2e wants for its own; NAMESPACE=… chooses another"
    run("kubectl", "label", "--overwrite", "namespace", NAMESPACE, labels[1])
    yield NAMESPACE
    uninstall()


@pytest.fixture(scope="session", autouse=True)
def port_forwards():
    """BREAK_FORWARDS=SECONDS kills or stops every port-forward that often: no test may depend on one that lasts."""
    seconds = float(os.environ.get("BREAK_FORWARDS", 0))
    with forward.broken_every(seconds) if seconds else contextlib.nullcontext():
        yield


@pytest.fixture(scope="session")
def stack(namespace):
    """The release with the stack; the time when its installation started, on the monotonic clock."""
    try:
        run("kubectl", "--namespace", MONITORING, "get", "service", COLLECTOR, TEMPO, LOKI, PROMETHEUS)
    except CommandFailed:
        pytest.skip("the stack is not installed in this cluster (make stack)")
    uninstall()  # pods of an earlier release, without an exporter, must not get any request
    start = time.monotonic()
    install(*WITH_STACK)
    yield start
    uninstall()


@pytest.fixture(scope="session")
def backends(stack):
    """Local addresses of Prometheus, Tempo and Loki."""
    with forwarded(PROMETHEUS, 9090, MONITORING) as prometheus, forwarded(TEMPO, 3200, MONITORING) as tempo, \
            forwarded(LOKI, 3100, MONITORING) as loki:
        yield {"prometheus": prometheus, "tempo": tempo, "loki": loki}


@pytest.fixture(scope="session")
def batch(stack):
    """The trace id of a batch of ten."""
    with forwarded("dice-frontend", 8400) as page:
        def rolled():
            status, body, _ = get(f"{page}/roll-async?die=fair&times=10")
            assert status == 200, body
            return json.loads(body)["trace_id"]
        # A node may learn the new endpoints a moment after helm install --wait.
        return wait_for("a batch is rolled", rolled, 30)[0]
