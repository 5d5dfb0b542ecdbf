"""Port-forwards that last: each is opened again when it ends or hangs, under the same local address.

A failed request is either the product's failure, an OSError, or that of the test's own way to it, WayFailed.
"""

import collections
import contextlib
import http.client
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request


class WayFailed(Exception):
    """The test could not reach the product; this says nothing about the product."""


class Forward:
    """A port-forward to a pod, or to one of a Service's pods. Not thread-safe."""

    by_port = {}
    # A response through a port-forward takes milliseconds; on a busy machine, a second or two.
    PROBE_SECONDS = 5
    OPEN_SECONDS = 30

    def __init__(self, target, port, namespace):
        target = target if "/" in target else f"service/{target}"
        self.name = f"{target}:{port} in {namespace}"
        self.command = ["kubectl", "--namespace", namespace, "port-forward", target]
        self.port = port
        # Chosen by the first port-forward, then kept.
        self.local = 0
        self.opened = 0
        self.process = None
        self.reader = None
        self.lines = collections.deque(maxlen=5)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.local}"

    def close(self):
        Forward.by_port.pop(self.local, None)
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.reader.join()

    def open(self):
        """Returns when the pod behind it responds."""
        start = time.monotonic()
        while True:
            self.close()
            listening = self._start()
            if listening:
                Forward.by_port[self.local] = self
                self.opened += 1
                if self.responds():
                    return
            if time.monotonic() - start > self.OPEN_SECONDS:
                told = " ".join(self.lines) or "no message"
                if listening:
                    # This includes a pod that refuses connections.
                    raise ConnectionError(f"{self.name} does not respond through a new port-forward: {told}")
                raise WayFailed(f"the test's own way to {self.name} failed: kubectl port-forward: {told}")
            time.sleep(0.5)  # polling interval

    def ensure(self):
        if not self.responds():
            self.open()

    def responds(self):
        """Whether there is an HTTP response of any kind."""
        if self.process is None or self.process.poll() is not None:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self.local, timeout=self.PROBE_SECONDS)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status > 0
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _start(self):
        """Whether it listens."""
        self.process = subprocess.Popen([*self.command, f"{self.local or ''}:{self.port}"], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        decided, listening = threading.Event(), threading.Event()
        self.lines.clear()

        # It prints a line for each connection, and stops forwarding when the pipe is full.
        def read(output):
            for line in output:
                self.lines.append(line.strip())
                if found := re.search(r"127\.0\.0\.1:(\d+)", line):
                    self.local = int(found[1])
                    listening.set()
                    decided.set()
            decided.set()
        self.reader = threading.Thread(target=read, args=(self.process.stdout,), daemon=True)
        self.reader.start()
        decided.wait(10)
        return listening.is_set() and self.process.poll() is None


@contextlib.contextmanager
def forwarded(target, port, namespace):
    """The local address of a port of `target`, a Service's name or pod/NAME; `get` keeps it valid."""
    forward = Forward(target, port, namespace)
    try:
        forward.open()
        yield forward.address
    finally:
        forward.close()


def get(url, timeout=70):
    """(status, body, headers) of any response. Through a port-forward, it is repeated if the port-forward fails."""
    forward = Forward.by_port.get(urllib.parse.urlsplit(url).port)
    if forward is None:
        return _get(url, timeout)
    for _ in range(3):
        forward.ensure()
        try:
            return _get(url, timeout)
        except OSError:
            if forward.responds():
                raise
    raise WayFailed(f"the test's own way to {forward.name} failed three times during GET {url}")


def _get(url, timeout):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers
    except http.client.HTTPException as error:
        raise ConnectionError(f"GET {url}: {error!r}") from error


@contextlib.contextmanager
def broken_every(seconds):
    """Kills or stops all port-forwards every so many seconds, in turn."""
    end = threading.Event()

    def run():
        signals = [signal.SIGKILL, signal.SIGSTOP]
        while not end.wait(seconds):
            signals.reverse()
            for forward in list(Forward.by_port.values()):
                forward.process.send_signal(signals[0])
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
