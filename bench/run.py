#!/usr/bin/env python3
"""The benchmarks of docs/benchmarks.md. Each prints its measurements and whether they meet the targets.

usage: bench/run.py BIN [batch|throughput|overload ...]

BEFORE=BIN adds the programs of an earlier commit to `throughput`, measured in the same run.
"""

import http.client
import json
import multiprocessing
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

DEADLINE_SECONDS = 20
CONTRACT = contract.read(sys.argv[1] if sys.argv[1:] else None)
FRONTEND, DICE_ROLLER, DIE_SERVICE = (one["name"] for one in CONTRACT["services"])
ROLL_SPAN = CONTRACT["roll_span_prefix"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A program with its log in a file, on free ports unless `env` has others. `wrap`: a command that executes it."""

    def __init__(self, folder, name, env, wrap=()):
        self.name = name
        self.log = tempfile.NamedTemporaryFile(prefix=name, suffix=".log")
        self.port, self.metrics_port = (int(env.get(variable) or free_port()) for variable in ("PORT", "METRICS_PORT"))
        self.url, self.metrics_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.metrics_port}"
        env = {"PORT": str(self.port), "METRICS_PORT": str(self.metrics_port), "OTEL_TRACES_EXPORTER": "none", **env}
        self.process = subprocess.Popen([*wrap, folder / name], env=env, stdout=self.log, stderr=self.log)
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
            time.sleep(0.01)

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


def die_service(folder, **env):
    return Program(folder, DIE_SERVICE, {"DIE_SPECIFICATIONS": str(ROOT / "services/die-service/dice.yaml"), **env})


def verdict(name, passed, text):
    print(f"  {'passed' if passed else 'FAILED'}: {name}: {text}", flush=True)
    return passed


def batch(folder):
    """A batch takes as long as its longest roll."""
    dice = die_service(folder)
    roller = Program(folder, DICE_ROLLER, {"DIE_SERVICE_URL": dice.url})
    connection = http.client.HTTPConnection("127.0.0.1", roller.port)

    def timed(path):
        start = time.monotonic()
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        return time.monotonic() - start, reply.headers["traceresponse"].split("-")[1]

    overheads, walls, longests, sums = [], [], [], []
    for seed in range(20):
        wall, trace = timed(f"/roll-async?die=fair&times=10&seed={seed}")
        document = json.load(urllib.request.urlopen(f"{roller.metrics_url}/debug/spans/{trace}"))
        spans = [span for resource in document["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
        rolls = [(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9
                 for span in spans if span["name"].startswith(ROLL_SPAN)]
        assert len(rolls) == 10
        walls.append(wall)
        longests.append(max(rolls))
        sums.append(sum(rolls))
        overheads.append(wall - max(rolls))
    # The same delays as those of the batch with the median wall time.
    seed = walls.index(statistics.median_low(walls))
    sequential = sum(timed(f"/roll?die=fair&seed={seed}&index={index}")[0] for index in range(10))
    roller.stop()
    dice.stop()
    wall, longest = statistics.median(walls), statistics.median(longests)
    print(f"batch: 20 batches of 10, wall time at the client compared with the longest roll of the same batch")
    print(f"  median: wall {wall * 1e3:.2f} ms, longest roll {longest * 1e3:.2f} ms, overhead {statistics.median(overheads) * 1e3:.2f} ms")
    print(f"  ten sequential rolls: {sequential * 1e3:.0f} ms, {sequential / walls[seed]:.2f} × the batch of ten with the same seed;"
          f" sum of the batches' own rolls: {statistics.median(sums) / wall:.2f} × their wall time")
    limits = [w - (1.02 * l + 0.005) for w, l in zip(walls, longests)]
    return verdict("wall ≤ 1.02 × longest + 5 ms, median of 20", statistics.median(limits) <= 0,
                   f"{wall / longest:.4f} × the longest roll")


def wrk(port, path, seconds):
    out = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds:.0f}s", f"http://127.0.0.1:{port}{path}"],
                         capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(out)
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1))


def throughput(folder, seconds=4, rounds=5):
    """The cost of telemetry: /dice, adding one feature per step, alternating with a bare Pistache server."""
    hello_port, sink_port = free_port(), free_port()
    helpers = [subprocess.Popen([folder / "bench-hello", str(hello_port)]),
               subprocess.Popen([folder / "bench-sink", str(sink_port)])]
    exporting = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink_port}"}
    steps = [("routing and metrics", {"OTEL_SDK_DISABLED": "true", "LOG_LEVEL": "error"}),
             ("+ a log line per request", {"OTEL_SDK_DISABLED": "true"}),
             ("+ a span kept in memory", {}),
             ("+ every span exported", {**exporting, "OTEL_BSP_MAX_QUEUE_SIZE": "65536"})]
    programs = [die_service(folder, **env) for _, env in steps]
    before = os.environ.get("BEFORE")
    if before:  # everything on, in the earlier version
        steps.append(("  the same, before", {**exporting, "OTEL_BSP_MAX_QUEUE_SIZE": "65536"}))
        programs.append(die_service(pathlib.Path(before).resolve(), **steps[-1][1]))
    wrk(hello_port, "/", 1)
    rates = [[] for _ in steps]
    for number in range(rounds):
        # The machine's speed drifts: compare each step with the bare server just before and just after it.
        bare = [wrk(hello_port, "/", seconds / 2)]
        for rate, program in zip(rates, programs):
            here = wrk(program.port, "/dice", seconds)
            bare.append(wrk(hello_port, "/", seconds / 2))
            rate.append(here / statistics.mean(bare[-2:]))
        print(f"  round {number + 1} of {rounds}: bare Pistache {min(bare):.0f} to {max(bare):.0f}/s", flush=True)
    last = programs[3]
    ended = sum(float(value) for series, value in last.metrics().items()
                if series.startswith("http_requests_total") and 'route="/dice"' in series)
    last.wait_for(lambda: last.metric("telemetry_spans_exported_total") + last.metric("telemetry_spans_dropped_total") >= ended,
                  "the last spans")
    exported, dropped = last.metric("telemetry_spans_exported_total"), last.metric("telemetry_spans_dropped_total")
    for program in programs:
        program.stop()
    for helper in helpers:
        helper.terminate()
        helper.wait()
    print(f"throughput: wrk, 32 keep-alive connections, {seconds} s per run, median of {rounds}; server, client and collector share this machine")
    print(f"  {'bare Pistache':28} 1.00")
    for (name, _), rate in zip(steps, rates):
        print(f"  {name:28} {statistics.median(rate):.2f}")
    medians = [statistics.median(rate) for rate in rates]
    passed = verdict("every span exported", dropped == 0, f"{exported:.0f} exported, {dropped:.0f} dropped")
    passed &= verdict("everything off ≥ 1.05 × bare Pistache", medians[0] >= 1.05, f"{medians[0]:.2f}")
    passed &= verdict("everything on ≥ 0.5 × bare Pistache", medians[3] >= 0.5, f"{medians[3]:.2f}")
    if before:
        ratio = statistics.median(now / then for now, then in zip(rates[3], rates[4]))
        passed &= verdict("everything on ≥ 1.1 × before", ratio >= 1.1, f"{ratio:.2f}")
    return passed


def probe(ports, stop, out):
    """Runs in a separate process: the response times of health and metrics."""
    worst = {}
    while not stop.is_set():
        for port, path in ports:
            start = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
            connection.request("GET", path)
            connection.getresponse().read()
            connection.close()
            worst.setdefault(path, []).append(time.monotonic() - start)
    out.put(worst)


def overload(folder):
    """200 concurrent batches of 20: more than are admitted."""
    dice = die_service(folder)
    roller = Program(folder, DICE_ROLLER, {"DIE_SERVICE_URL": dice.url, "LOG_LEVEL": "warn", "TRACE_MEMORY_SPANS": "0"})
    answers = []

    def one():
        connection = http.client.HTTPConnection("127.0.0.1", roller.port, timeout=DEADLINE_SECONDS)
        connection.request("GET", "/roll-async?die=fair&times=20")
        reply = connection.getresponse()
        reply.read()
        answers.append((reply.status, reply.headers["Retry-After"]))

    def wave():
        threads = [threading.Thread(target=one) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def settled():
        metrics = roller.metrics()
        return (float(metrics["async_rolls_in_progress"]) == 0 and float(metrics["process_threads"]) < 20
                and all(float(value) == 0 for series, value in metrics.items()
                        if series.startswith("http_requests_in_progress") and "/roll" in series))

    def phase():
        """Three waves, with probes throughout: the response times, and the memory at the end."""
        answers.clear()
        stop, out = multiprocessing.Event(), multiprocessing.Queue()
        targets = [(roller.port, "/healthz"), (roller.metrics_port, "/metrics")]
        prober = multiprocessing.Process(target=probe, args=(targets, stop, out))
        prober.start()
        for _ in range(3):
            wave()
        stop.set()
        times = out.get()
        prober.join()
        roller.wait_for(settled, "the gauges to return to 0 and the threads to end")
        return times, roller.metric("process_resident_memory_bytes")

    memory = [phase()[1] for _ in range(3)]  # memory that the allocator keeps after its first peaks is not a leak
    worst, after = phase()
    before = memory[-1]
    code = roller.stop()
    dice.stop()

    good = sum(status == 200 for status, _ in answers)
    refused = sum(status == 503 and retry is not None for status, retry in answers)
    print("overload: 3 waves of 200 concurrent batches of 20, 1024 rolls admitted")
    passed = verdict("every answer is 200, or 503 with Retry-After", good + refused == len(answers) == 600, f"{good} and {refused} of {len(answers)}")
    for path, times in sorted(worst.items()):
        passed &= verdict(f"{path} within 50 ms", max(times) <= 0.05,
                        f"worst {max(times) * 1e3:.1f} ms, median {statistics.median(times) * 1e3:.1f} ms of {len(times)}")
    passed &= verdict("memory returns to its previous level (within 10 %)", after <= 1.1 * before, " → ".join(f"{one / 1e6:.1f}" for one in [*memory, after]) + " MB after each phase")
    passed &= verdict("gauges return to 0, and exit 0", code == 0, "after the last answer")
    return passed


MEASUREMENTS = {"batch": batch, "throughput": throughput, "overload": overload}


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= MEASUREMENTS.keys():
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1]).resolve()
    passed = [MEASUREMENTS[name](folder) for name in sys.argv[2:] or MEASUREMENTS]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
