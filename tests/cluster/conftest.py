"""make e2e: needs a cluster, kubectl, helm and the project's images in the cluster; tests/cluster/run.sh sees to that."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import CommandFailed, NAMESPACE, helm, run  # noqa: E402


@pytest.fixture(scope="session")
def say(pytestconfig):
    """Prints what was measured, whatever pytest captures."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")

    def line(text):
        with capture.global_and_fixture_disabled():
            print(f"\n  {text}", end="", flush=True)
    return line


@pytest.fixture(scope="session", autouse=True)
def namespace():
    """One that enforces `restricted`, for these tests alone. It stays, without the release."""
    labels = ("kubernetes.io/metadata.name=" + NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    try:
        run("kubectl", "create", "namespace", NAMESPACE)
    except CommandFailed as error:
        assert "AlreadyExists" in str(error), error
    assert "dice" not in helm("list", "--short", "--all").split(), \
        f"there is a release dice in the namespace {NAMESPACE}, which make e2e wants for its own; NAMESPACE=… chooses another"
    run("kubectl", "label", "--overwrite", "namespace", NAMESPACE, labels[1])
    yield NAMESPACE
    helm("uninstall", "dice", "--ignore-not-found", "--wait")
