"""`loadgen verify` against an OpenTelemetry Collector, Loki, Prometheus and Tempo, as local processes: the
services' telemetry arrives, and a stopped backend is named. The frontend shows traces and log lines from Tempo and Loki.

The programs are searched in PATH and in $CLUSTER_CACHE/backends (default ~/.cache/dice-cluster/backends). If one of the
first three is missing, all tests are skipped; without Tempo, traces are read from the frontend. DICE_BIN: folder of our
own programs (default build/release/bin).
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import run  # noqa: E402

BIN = pathlib.Path(os.environ.get("DICE_BIN", ROOT / "build/release/bin"))
CACHE = pathlib.Path(os.environ.get("CLUSTER_CACHE", pathlib.Path.home() / ".cache/dice-cluster")) / "backends"
PROGRAMS = {"collector": "otelcol-k8s", "loki": "loki", "prometheus": "prometheus", "tempo": "tempo"}
FOUND = {name: shutil.which(program, path=f"{os.environ.get('PATH', '')}:{CACHE}") for name, program in PROGRAMS.items()}
MISSING = [PROGRAMS[name] for name in ("collector", "loki", "prometheus") if not FOUND[name]]
READY_SECONDS = 120
STOP_SECONDS = 5  # then the process is killed: Tempo takes over 30 s to stop
# Otherwise, some of the programs would trace themselves.
ENV = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LOADGEN_"))}

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no program {', '.join(MISSING)} in PATH or {CACHE}")
needs_tempo = pytest.mark.skipif(not FOUND["tempo"], reason=f"no program tempo in PATH or {CACHE}: traces are read from the frontend")


def free_ports(count):
    with contextlib.ExitStack() as sockets:
        taken = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in taken]


def answer(url):
    """The body of a response with status 200, otherwise None."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.read()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


class Backend:
    """One process. `ready` is polled after a start."""

    def __init__(self, name, folder, arguments, ready):
        self.name = name
        self.log = folder / f"{name}.out"
        self.command = [FOUND[name], *arguments]
        self.ready = ready
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=ENV, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {READY_SECONDS} s:\n{self.tail()}"
            time.sleep(0.1)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class Stack:
    """The services and the backends of their telemetry."""

    def __init__(self, folder):
        self.folder = folder
        self.system = run.System(BIN, folder / "logs", free_ports=True)
        self.backends = {}
        self.urls = {}

    def start(self):
        otlp, health, loki, loki_grpc, prometheus, tempo, tempo_grpc, tempo_otlp = free_ports(8)
        self.urls = {"collector": f"http://127.0.0.1:{otlp}", "loki": f"http://127.0.0.1:{loki}",
                     "prometheus": f"http://127.0.0.1:{prometheus}", "tempo": f"http://127.0.0.1:{tempo}"}
        self.add("loki", loki_config(self.folder / "loki", loki, loki_grpc), lambda path: [f"-config.file={path}"], "/ready")
        if FOUND["tempo"]:
            self.add("tempo", tempo_config(self.folder / "tempo", tempo, tempo_grpc, tempo_otlp),
                     lambda path: [f"-config.file={path}"], "/ready")
        self.add("collector", collector_config(self.folder, otlp, health, self.urls["loki"], tempo_otlp if FOUND["tempo"] else None),
                 lambda path: [f"--config={path}"], f"http://127.0.0.1:{health}/")
        tempo_url = {"TEMPO_URL": self.urls["tempo"]} if FOUND["tempo"] else {}
        self.system.start({"all": {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": self.urls["collector"],
                                   "OTEL_BSP_SCHEDULE_DELAY": "500"},
                           "dice-roller": {"ROLL_DELAY_MAX_SECONDS": "0.3"},
                           "frontend": {"LOKI_URL": self.urls["loki"], **tempo_url}})
        # The ports of its targets are known only now.
        self.add("prometheus", prometheus_config(self.system), lambda path: [
            f"--config.file={path}", f"--storage.tsdb.path={self.folder}/prometheus",
            f"--web.listen-address=127.0.0.1:{prometheus}", "--enable-feature=exemplar-storage"], "/-/ready")

    def add(self, name, config, arguments, ready):
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        url = ready if ready.startswith("http") else self.urls[name] + ready
        self.backends[name] = Backend(name, self.folder, arguments(path), lambda: answer(url) is not None)
        self.backends[name].start()

    def stop(self):
        self.system.stop()
        for backend in reversed(self.backends.values()):
            backend.stop()

    def verify(self, deadline):
        """The exit code and the report."""
        command = [BIN / "loadgen", "verify", "--url", self.system.url("frontend"), "--loki", self.urls["loki"],
                   "--prometheus", self.urls["prometheus"], "--deadline", str(deadline), "--json"]
        if FOUND["tempo"]:
            command += ["--tempo", self.urls["tempo"]]
        done = subprocess.run(list(map(str, command)), env=ENV, capture_output=True, text=True, timeout=300)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, json.loads(done.stdout)


def loki_config(folder, port, grpc_port):
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {"http_listen_address": "127.0.0.1", "http_listen_port": port, "grpc_listen_address": "127.0.0.1",
                   "grpc_listen_port": grpc_port, "log_level": "warn"},
        "common": {"path_prefix": str(folder), "replication_factor": 1, "instance_addr": "127.0.0.1",
                   "ring": {"instance_addr": "127.0.0.1", "kvstore": {"store": "inmemory"}},
                   "storage": {"filesystem": {"chunks_directory": f"{folder}/chunks", "rules_directory": f"{folder}/rules"}}},
        "schema_config": {"configs": [{"from": "2024-04-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13",
                                       "index": {"prefix": "index_", "period": "24h"}}]},
        # A ring with one member need not wait.
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}},
        "limits_config": {"allow_structured_metadata": True},
    }


def tempo_config(folder, port, grpc_port, otlp_port):
    return {
        "usage_report": {"reporting_enabled": False},
        "server": {"http_listen_address": "127.0.0.1", "http_listen_port": port, "grpc_listen_address": "127.0.0.1",
                   "grpc_listen_port": grpc_port, "log_level": "warn"},
        "distributor": {"receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp_port}"}}}}},
        "ingester": {"lifecycler": {"address": "127.0.0.1", "min_ready_duration": "0s"}},
        "storage": {"trace": {"backend": "local", "local": {"path": f"{folder}/blocks"}, "wal": {"path": f"{folder}/wal"}}},
    }


def collector_config(folder, otlp_port, health_port, loki_url, tempo_port):
    retry = {"initial_interval": "500ms", "max_interval": "1s"}
    exporters = {"otlp_http/loki": {"endpoint": f"{loki_url}/otlp", "retry_on_failure": retry}}
    if tempo_port:
        exporters["otlp_http/tempo"] = {"endpoint": f"http://127.0.0.1:{tempo_port}", "retry_on_failure": retry}
    else:
        exporters["nop"] = {}
    return {
        "extensions": {"file_storage": {"directory": f"{folder}/checkpoints", "create_directory": True},
                       "health_check": {"endpoint": f"127.0.0.1:{health_port}"}},
        "receivers": {
            "otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp_port}"}}},
            "filelog": {
                "include": [f"{folder}/logs/*.log"], "start_at": "beginning", "poll_interval": "200ms",
                "storage": "file_storage",  # otherwise, a restart sends every line again
                "operators": [
                    {"type": "json_parser", "parse_to": "attributes.app"},
                    {"type": "move", "from": "attributes.app.service", "to": 'resource["service.name"]'},
                    {"type": "remove", "field": "attributes.app"},  # the body still contains everything
                ],
            },
        },
        "exporters": exporters,
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "extensions": ["file_storage", "health_check"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http/tempo" if tempo_port else "nop"]},
                          "logs": {"receivers": ["filelog"], "exporters": ["otlp_http/loki"]}},
        },
    }


def prometheus_config(system):
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}]}
                           for name, url in system.metrics_urls.items()],
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("backends"))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def broken(report):
    return {case["signal"] for case in report["cases"] if not case["passed"]}


def holds(stack):
    code, report = stack.verify(deadline=60)
    assert code == 0, json.dumps([report["causes"], [case for case in report["cases"] if not case["passed"]]], indent=1)
    assert set(report["signals"]) == {"answers", "traces", "logs", "metrics", "correlation"}
    assert report["not_checked"] == []
    return report


def test_every_signal_arrives(stack):
    report = holds(stack)
    for name, signal in report["signals"].items():
        print(name, signal)


@contextlib.contextmanager
def stopped(stack, name):
    stack.backends[name].stop()
    try:
        yield
    finally:
        stack.backends[name].start()


@pytest.mark.parametrize(("name", "signals"), [
    ("loki", {"logs", "correlation"}), ("prometheus", {"metrics", "correlation"}), pytest.param("tempo", {"traces", "correlation"}, marks=needs_tempo)])
def test_a_backend_that_is_stopped_is_named(stack, name, signals):
    with stopped(stack, name):
        code, report = stack.verify(deadline=5)
        assert code == 1
        assert broken(report) == signals
        cause, = report["causes"]
        assert cause.startswith(f"{name.capitalize()} at {stack.urls[name]} cannot be read: no connection")
    holds(stack)


def check_collector_is_named(stack):
    code, report = stack.verify(deadline=10)
    assert code == 1
    assert broken(report) == {"logs", "metrics", "correlation"} | ({"traces"} if FOUND["tempo"] else set())
    spans, logs = report["causes"]
    assert spans.startswith("the collector is down or does not respond: ")
    assert logs == f"Loki at {stack.urls['loki']} is not getting logs either: they are shipped by the collector"


def test_a_collector_that_is_stopped_is_named(stack):
    with stopped(stack, "collector"):
        check_collector_is_named(stack)
    holds(stack)


def test_a_collector_that_was_never_there_is_named(stack):
    with stopped(stack, "collector"):
        for name in stack.system.urls:
            stack.system.restart(name)
        check_collector_is_named(stack)
    holds(stack)


def test_logs_that_the_collector_does_not_ship_are_named(stack):
    """Spans continue to arrive."""
    logs = stack.folder / "logs"
    hidden = logs.rename(stack.folder / "elsewhere")
    try:
        code, report = stack.verify(deadline=5)
        assert code == 1
        assert broken(report) == {"logs", "correlation"}
        cause, = report["causes"]
        assert cause.startswith(f"Loki at {stack.urls['loki']} is not getting logs: ")
    finally:
        hidden.rename(logs)
    holds(stack)


class Canary:
    """`loadgen verify --every`, with a short deadline."""

    def __init__(self, stack):
        command = [BIN / "loadgen", "verify", "--every", "0.5", "--deadline", "8", "--metrics-port", "0", "--shared",
                   "--url", stack.system.url("frontend"), "--loki", stack.urls["loki"], "--prometheus", stack.urls["prometheus"]]
        if FOUND["tempo"]:
            command += ["--tempo", stack.urls["tempo"]]
        self.process = subprocess.Popen(list(map(str, command)), env=ENV, stdout=subprocess.PIPE, text=True)
        self.named = set()

    def until(self, broken):
        """Seconds until a check names just these causes; until then, only those of before may be named."""
        start = time.monotonic()
        wanted = set(filter(None, broken.split(",")))
        for text in self.process.stdout:
            line = json.loads(text)
            if line["message"] != "Telemetry check":
                continue
            named = set(filter(None, line.get("broken", "").split(",")))
            if named == wanted:
                self.named = wanted
                return time.monotonic() - start
            assert named == self.named, text
            assert time.monotonic() - start < READY_SECONDS, text
        raise AssertionError("the canary has ended")

    def stop(self):
        self.process.terminate()
        assert self.process.wait(5) == 0


@pytest.fixture
def canary(stack):
    holds(stack)
    canary = Canary(stack)
    yield canary
    canary.stop()


@needs_tempo
@pytest.mark.parametrize(("name", "broken"), [
    ("loki", "logs/source_unreadable"), ("tempo", "traces/source_unreadable"), ("prometheus", "metrics/source_unreadable"),
    ("collector", "traces/collector_down,logs/collector_down")])
def test_the_canary_names_what_is_stopped(stack, canary, name, broken):
    canary.until("")
    with stopped(stack, name):
        named = canary.until(broken)
    recovered = canary.until("")
    print(f"{name}: named after {named:.1f} s, passed again after {recovered:.1f} s")


@needs_tempo
def test_the_canary_names_an_exporter_that_is_off(stack, canary):
    canary.until("")
    stack.system.restart("die-service", {"OTEL_TRACES_EXPORTER": "none"})
    try:
        print(f"exporter: named after {canary.until('traces/spans_not_exported'):.1f} s")
    finally:
        stack.system.restart("die-service")
    print(f"exporter: passed again after {canary.until(''):.1f} s")


@needs_tempo
def test_the_canary_names_logs_that_are_not_shipped(stack, canary):
    canary.until("")
    logs = stack.folder / "logs"
    hidden = logs.rename(stack.folder / "elsewhere")
    try:
        print(f"logs: named after {canary.until('logs/no_logs'):.1f} s")
    finally:
        hidden.rename(logs)
    print(f"logs: passed again after {canary.until(''):.1f} s")


TRACE_ID = "5eed%028x"


class Batch:
    """20 rolls, two at a time: some seconds. The page names the trace in the same way."""

    SPANS = 20 + 5

    def __init__(self, stack, number):
        self.stack = stack
        self.id = TRACE_ID % number
        request = urllib.request.Request(f"{stack.system.page}/roll-async?die=fair&times=20&concurrency=2", headers={"dice-trace-id": self.id})
        self.thread = threading.Thread(target=lambda: urllib.request.urlopen(request, timeout=60).close())
        self.thread.start()

    def trace(self):
        """Whether it is complete, and {span id: the span}."""
        body = answer(f"{self.stack.system.page}/api/traces/{self.id}")
        if body is None:
            return False, {}
        trace = json.loads(body)
        return trace["complete"], {span["spanId"]: span for one in trace["resourceSpans"] for scope in one["scopeSpans"]
                                   for span in scope["spans"]}

    def lines(self):
        body = answer(f"{self.stack.system.page}/api/logs/{self.id}")
        return json.loads(body)["lines"] if body else []

    def spans_in_tempo(self):
        # Tempo writes ids in base64.
        body = answer(f"{self.stack.urls['tempo']}/api/traces/{self.id}") or b""
        return body.count(b'"spanId"')


def eventually(get, holds):
    deadline = time.monotonic() + READY_SECONDS
    while not holds(value := get()):
        assert time.monotonic() < deadline, value
        time.sleep(0.05)
    return value


@needs_tempo
def test_a_running_batch_has_open_spans_with_tempo_too(stack):
    batch = Batch(stack, 1)
    try:
        complete, spans = eventually(batch.trace, lambda trace: any("endTimeUnixNano" in span and span["name"].startswith("async_roll_")
                                                                    for span in trace[1].values()))
        running = [span["name"] for span in spans.values() if "endTimeUnixNano" not in span]
        assert not complete
        assert running.count("GET /roll-async") >= 2, running  # the frontend's and dice-roller's
        assert any(name.startswith("async_roll_") for name in running), running
    finally:
        batch.thread.join()
    _, spans = eventually(batch.trace, lambda trace: trace[0])
    assert len(spans) == Batch.SPANS
    assert all("endTimeUnixNano" in span for span in spans.values())


@needs_tempo
def test_a_link_works_after_a_restart_of_the_services(stack):
    batch = Batch(stack, 2)
    batch.thread.join()
    _, spans = eventually(batch.trace, lambda trace: trace[0])
    lines = batch.lines()
    assert len(spans) == Batch.SPANS
    assert {line["service"] for line in lines} == set(stack.system.urls)
    eventually(batch.spans_in_tempo, lambda count: count >= Batch.SPANS)
    for name in stack.system.urls:
        stack.system.restart(name)
    for url in stack.system.metrics_urls.values():
        assert answer(f"{url}/debug/spans/{batch.id}") is None
        assert answer(f"{url}/debug/logs/{batch.id}") is None

    complete, after = batch.trace()
    assert complete
    assert after.keys() == spans.keys()
    assert eventually(batch.lines, lambda found: len(found) >= len(lines)) == lines
