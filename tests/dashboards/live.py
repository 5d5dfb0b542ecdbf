"""The three services under load, the canary, a fake collector, and a real Prometheus that scrapes them all with the chart's
rules."""

import http.server
import json
import math
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml
from queries import ROOT, RULES, fill

sys.path.insert(0, str(ROOT / "tools"))

import run  # noqa: E402

BIN = pathlib.Path(os.environ.get("DICE_BIN", ROOT / "build/release/bin")).resolve()
PROMETHEUS = ROOT / "build/prometheus/usr/bin/prometheus"
NAMESPACE = "dice"
# Proportionally longer than the scrape interval of 1 s, as Grafana's is for 15 s; [$__range] is the duration of a test.
RATE_INTERVAL, RANGE = "5s", "1m"
DICE = (ROOT / "services/die-service/dice.yaml").read_text()


def eventually(what, seconds, condition):
    """Waits until `condition` returns a true value, and returns it."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.2)
    return result


class Silent(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Local(http.server.ThreadingHTTPServer):
    """Serves at a free port of this machine."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Collector(Local):
    """Accepts spans, or rejects them."""

    def __init__(self):
        collector = self
        self.refuses = False

        class Handler(Silent):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(400 if collector.refuses else 200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)


class Says(Local):
    """Serves metrics that were written by hand."""

    def __init__(self, text):
        self.text = text

        class Handler(Silent):
            def do_GET(self):
                text = self.server.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        super().__init__(Handler)

    def stop(self):
        self.shutdown()
        self.server_close()


class Live:
    """`delay` is the maximum simulated work per roll, in seconds."""

    def __init__(self, folder, delay=0.2):
        self.folder = folder
        self.delay = delay
        self.dice = folder / "dice.yaml"
        self.dice.write_text(DICE)
        self.collector = Collector()
        self.system = run.System(BIN, folder / "logs", free_ports=True)
        self.processes = []
        self.others = []
        self.said = []
        self.urls = {}

    def __enter__(self):
        try:
            self.system.start({
                "all": {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "OTEL_BSP_SCHEDULE_DELAY": 200, "FAULTS_ENABLED": "true"},
                "die-service": {"DIE_SPECIFICATIONS": self.dice},
                "dice-roller": {"ROLL_DELAY_MAX_SECONDS": self.delay}})
            self.start_prometheus()
            self.traffic("--users", 10, "--think-max", 0.05)
            self.canary()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)
        for process in self.others:
            process.signal(15)
            process.wait(30)
        for server in self.said:
            server.stop()
        self.system.stop()
        self.collector.shutdown()
        self.collector.server_close()

    def start_prometheus(self):
        """Labels as from the chart's ServiceMonitor. All rules are evaluated every second; their windows are unchanged."""
        rules = self.folder / "rules"
        rules.mkdir()
        for path in RULES:
            text = yaml.safe_load(path.read_text())
            for group in text["groups"]:
                group.pop("interval", None)
            (rules / path.name).write_text(yaml.safe_dump(text))
        # More targets may be added, one file each.
        (self.folder / "targets").mkdir()
        for job, url in self.system.metrics_urls.items():
            self.target(job, url)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules / "*.yaml")],
            "scrape_configs": [{"job_name": "file", "file_sd_configs": [
                {"files": [str(self.folder / "targets/*.json")], "refresh_interval": "1s"}]}],
        }
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % free.getsockname()[1]
        self.prometheus_url = f"http://{address}"
        log = (self.folder / "prometheus.log").open("w")
        self.processes.append(subprocess.Popen(
            [PROMETHEUS, f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
             f"--web.listen-address={address}", "--enable-feature=exemplar-storage"], stdout=log, stderr=log))
        eventually(lambda: "Prometheus is ready:\n" + (self.folder / "prometheus.log").read_text()[-2000:], 30, self.ready)

    def ready(self):
        try:
            return urllib.request.urlopen(self.prometheus_url + "/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def target(self, job, url, namespace=NAMESPACE):
        labels = {"job": job, "namespace": namespace, "pod": f"{job}-0", "container": job, "service": f"dice-{job.removeprefix('dice-')}-metrics",
                  "endpoint": "metrics"}
        (self.folder / f"targets/{namespace}-{job}.json").write_text(json.dumps([{"targets": [url.removeprefix("http://")],
                                                                                 "labels": labels}]))

    def loadgen(self, job, *arguments):
        """Runs a command of loadgen that serves its metrics, and has them scraped."""
        path = self.folder / f"{job}.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LOADGEN_"))}
        with path.open("w") as log:
            self.processes.append(subprocess.Popen(
                [BIN / "loadgen", *map(str, arguments), "--url", self.system.url("frontend"), "--metrics-port", "0"],
                env={**env, "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url}, stdout=log, stderr=log))
        port = eventually(lambda: f"a port: {path.read_text()}", 15, lambda: re.search(r'metrics at port (\d+)|"metrics_port":(\d+)', path.read_text()))
        self.urls[job] = f"http://127.0.0.1:{port[1] or port[2]}"
        self.target(job, self.urls[job])

    def traffic(self, *arguments):
        """Sends load until the end."""
        self.loadgen("loadgen", "traffic", "--duration", 3600, *arguments)

    def canary(self):
        """Checks every 5 s. What is not there after 10 s is missing."""
        self.loadgen("canary", "verify", "--shared", "--every", 5, "--deadline", 10, "--logs", self.folder / "logs",
                     "--metrics", ",".join(self.system.metrics_urls.values()))

    def says(self, job, namespace, text):
        """Has `text` scraped as the metrics of a pod of `job`."""
        server = Says(text)
        self.said.append(server)
        self.target(job, server.url, namespace)
        return server

    def another_die_service(self, dice, namespace):
        """A service in another namespace, which dice-roller does not use but Prometheus scrapes."""
        file = self.folder / f"{namespace}.yaml"
        file.write_text(dice)
        process = run.Process("die-service", BIN / "die-service", {
            **os.environ, "PORT": "0", "METRICS_PORT": "0", "DIE_SPECIFICATIONS": str(file), "OTEL_TRACES_EXPORTER": "none"},
            self.folder / f"{namespace}.log", None, None)
        self.others.append(process)
        eventually("it listens", 15, process.listening.is_set)
        self.target("die-service", f"http://127.0.0.1:{process.ports[1]}", namespace)
        self.target("dice-roller", self.system.metrics_url("dice-roller"), namespace)

    def fault(self, service, **setting):
        request = urllib.request.Request(self.system.metrics_url(service) + "/debug/faults", json.dumps(setting).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=5).close()

    def api(self, path, **parameters):
        url = f"{self.prometheus_url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def samples(self, expr):
        """{labels as text: value} now, without NaN. An invalid expression fails the test."""
        data = self.api("query", query=fill(expr, NAMESPACE, RATE_INTERVAL, RANGE))
        assert data["resultType"] == "vector", expr
        values = {json.dumps(one["metric"], sort_keys=True): float(one["value"][1]) for one in data["result"]}
        return {labels: value for labels, value in values.items() if not math.isnan(value)}
