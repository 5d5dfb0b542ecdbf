"""The tests' own way into the cluster."""

import signal
import threading
import time

import pytest

from cluster import DEPLOYMENTS, forwarded, get, install, kubectl, uninstall, wait_for, whole
from forward import Forward, WayFailed


@pytest.fixture(scope="module", autouse=True)
def installed(namespace):
    install("--set", "replicaCount=1", "--set", "networkPolicy.enabled=false")
    yield
    uninstall()


@pytest.fixture
def page():
    with forwarded("dice-frontend", 8400) as address:
        # Nodes learn of a new pod's address a moment after it is ready.
        wait_for("rolls work", lambda: get(f"{address}/roll?die=fair")[0] == get(f"{address}/dice")[0] == 200, 30)
        yield address


def test_one_that_is_killed_is_opened_again(page):
    forward = Forward.by_port[int(page.rsplit(":", 1)[1])]
    for _ in range(3):
        forward.process.kill()
        assert get(f"{page}/dice")[0] == 200
    assert forward.opened >= 4 and forward.address == page


def test_one_that_is_killed_during_a_request_is_opened_again(page):
    """A batch of ten on one thread takes some five seconds."""
    forward = Forward.by_port[int(page.rsplit(":", 1)[1])]
    killer = threading.Timer(0.5, lambda: forward.process.kill())
    killer.start()
    status, body, _ = get(f"{page}/roll-async?die=fair&times=10&concurrency=1&seed=1")
    killer.join()
    assert status == 200 and '"count":10' in body and forward.opened >= 2


def test_one_that_hangs_is_opened_again(page, say):
    forward = Forward.by_port[int(page.rsplit(":", 1)[1])]
    forward.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    assert get(f"{page}/dice")[0] == 200
    say(f"a port-forward that hangs: response after {time.monotonic() - start:.1f} s")
    assert forward.opened >= 2


def test_it_follows_a_replaced_pod(page):
    kubectl("rollout", "restart", f"deployment/{DEPLOYMENTS['frontend']}")
    kubectl("rollout", "status", f"deployment/{DEPLOYMENTS['frontend']}", "--timeout=90s")
    wait_for("only the new pod is left", lambda: whole("frontend", 1), 60)
    assert get(f"{page}/dice")[0] == 200


def test_a_failure_says_whose_it_is(monkeypatch):
    monkeypatch.setattr(Forward, "OPEN_SECONDS", 2)
    with pytest.raises(WayFailed, match="own way to service/no-such-service:80 in .* failed"), forwarded("no-such-service", 80):
        pass
    # Nothing listens there: the product's failure.
    with pytest.raises(ConnectionError, match="does not respond"):
        kubectl("patch", "service", "dice-frontend", "--type=json",
                "--patch", '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 8499}]')
        with forwarded("dice-frontend", 8400):
            pass
