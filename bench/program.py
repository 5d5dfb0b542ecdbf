"""The programs that are measured, as processes on free ports."""

import atexit
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

DEADLINE_SECONDS = 180  # also under valgrind on a busy machine
FRONTEND, DICE_ROLLER, DIE_SERVICE = contract.services()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, **options):
    """A process that does not outlive this one, also if a measurement fails."""
    process = subprocess.Popen(command, **options)
    atexit.register(lambda: process.poll() is None and process.kill())
    return process


def helper(folder, name):
    """(process, port) of bench-hello or bench-sink."""
    port = free_port()
    return run([folder / name, str(port)]), port


class Program:
    """A program with its log in a file, on free ports unless `env` has others. `wrap`: a command that executes it."""

    def __init__(self, folder, name, env, wrap=()):
        self.name = name
        self.log = tempfile.NamedTemporaryFile(prefix=name, suffix=".log")
        self.port, self.metrics_port = (int(env.get(variable) or free_port()) for variable in ("PORT", "METRICS_PORT"))
        self.url, self.metrics_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.metrics_port}"
        env = {"PORT": str(self.port), "METRICS_PORT": str(self.metrics_port), "OTEL_TRACES_EXPORTER": "none",
               "DIE_SPECIFICATIONS": str(ROOT / "services/die-service/dice.yaml"), **env}
        with open(self.log.name, "ab") as log:  # appended to, so that it can be truncated
            self.process = run([*wrap, folder / name], env=env, stdout=log, stderr=log)
        self.wait_for(self.ready, f"{name} to be ready")

    def ready(self):
        try:
            return urllib.request.urlopen(self.url + "/readyz").status == 200
        except OSError:
            return False

    def wait_for(self, condition, what):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            found = condition()
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"timed out waiting for {what}:\n{pathlib.Path(self.log.name).read_text()[-2000:]}")
            time.sleep(0.002)

    def metrics(self):
        text = urllib.request.urlopen(self.metrics_url + "/metrics").read().decode()
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    def metric(self, series):
        return float(self.metrics().get(series, 0))

    def resident(self):
        """Resident memory in bytes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+)", text, re.MULTILINE)[1]) * 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_SECONDS)
        self.log.close()
        return code
