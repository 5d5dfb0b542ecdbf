"""Requests per second, compared with a bare Pistache server and with other implementations of the same services."""

import math
import os
import pathlib
import re
import statistics
import subprocess
import sys

from program import DICE_ROLLER, DIE_SERVICE, FRONTEND, ROOT, Program, helper
from report import table

# name: who is asked (frontend, dice-roller, die-service), and for what
CASES = {"/dice": (2, "/dice"), "/roll": (1, "/roll?die=fair"), "batch of ten": (0, "/roll-async?die=fair&times=10")}
ON, REMEMBERED, LOGGED, OFF = "every span exported", "spans kept in memory", "a log line per request", "metrics only"
BEFORE, GO, FASTAPI, BARE = "before", "Go", "FastAPI", "bare Pistache"
QUIET = {"OTEL_SDK_DISABLED": "true", "LOG_LEVEL": "error"}


def wrk(port, path, seconds):
    """(requests per second, 99th percentile in milliseconds, requests)"""
    out = subprocess.run(["wrk", "-t1", "-c32", "--latency", "--timeout", "30s", f"-d{seconds}",
                          f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(out)
    value, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", out).groups()
    return (float(re.search(r"Requests/sec:\s+([0-9.]+)", out)[1]), float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit],
            int(re.search(r"(\d+) requests in", out)[1]))


def three(start):
    """[frontend, dice-roller, die-service]; `start(position, env)` starts one of them."""
    die_service = start(2, {})
    dice_roller = start(1, {"DIE_SERVICE_URL": die_service.url})
    return [start(0, {"DIE_SERVICE_URL": die_service.url, "DICE_ROLLER_URL": dice_roller.url}), dice_roller, die_service]


def ours(folder, settings):
    names = (FRONTEND, DICE_ROLLER, DIE_SERVICE)
    return three(lambda position, env: Program(folder, names[position], {"ROLL_DELAY_MAX_SECONDS": "0", **settings, **env}))


def peer(folder, program, settings, under=()):
    roles = ("front", "roller", "die")
    return three(lambda position, env: Program(folder, program, {"ROLE": roles[position], **settings, **env}, wrap=under))


def peers(settings):
    """{name: [frontend, dice-roller, die-service]} of those that can be installed here."""
    found, build = {}, ROOT / "build/peer"
    done = subprocess.run([ROOT / "bench/peer/install.sh", build], capture_output=True, text=True)
    print(done.stderr, end="", file=sys.stderr)
    if (build / "go").exists():
        found[GO] = peer(build, "go", settings)
    if (build / "venv/bin/uvicorn").exists():
        found[FASTAPI] = peer(ROOT / "bench/peer", "service.py", settings, under=[build / "venv/bin/python"])
    return found


class Variant:
    """One of those that are compared. Lists have one entry per round."""

    def __init__(self, programs):
        self.programs = programs
        self.ratios = {case: [] for case in CASES}
        self.rates = {case: [] for case in CASES}
        self.slowest = {case: [] for case in CASES}
        self.cpu, self.requests = 0, 0

    def run(self, case, seconds):
        position, path = CASES[case]
        program = self.programs[position]
        cpu = program.cpu_seconds()
        rate, slowest, requests = wrk(program.port, path, seconds)
        if case == "/dice":
            self.cpu += program.cpu_seconds() - cpu
            self.requests += requests
        self.rates[case].append(rate)
        self.slowest[case].append(slowest)
        for one in self.programs:  # gigabytes of log lines would have to be written
            os.truncate(one.log.name, 0)
        return rate

    def figures(self):
        return {"times_bare": {case: statistics.median(ratios) for case, ratios in self.ratios.items()},
                "per_second": {case: statistics.median(rates) for case, rates in self.rates.items()},
                "p99_milliseconds": {case: statistics.median(slowest) for case, slowest in self.slowest.items()},
                "cpu_seconds_per_1000_dice": self.cpu / max(self.requests, 1) * 1000}


def throughput(folder, quick):
    seconds, rounds = (1, 1) if quick else (2, 5)
    (hello, bare_port), (sink, sink_port) = helper(folder, "bench-hello"), helper(folder, "bench-sink")
    exporting = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink_port}",
                 "OTEL_BSP_MAX_QUEUE_SIZE": "65536"}
    programs = {OFF: ours(folder, QUIET), LOGGED: ours(folder, {"OTEL_SDK_DISABLED": "true"}), REMEMBERED: ours(folder, {}),
                ON: ours(folder, exporting)}
    if os.environ.get("BEFORE"):
        programs[BEFORE] = ours(pathlib.Path(os.environ["BEFORE"]).resolve(), exporting)
    programs.update(peers(exporting))
    variants = {name: Variant(three_programs) for name, three_programs in programs.items()}
    bare = {case: [] for case in CASES}
    wrk(bare_port, "/", 1)
    for number in range(rounds):
        for case in CASES:
            # The machine's speed drifts: each is compared with the bare server just before and just after it.
            before = wrk(bare_port, "/", 1)[0]
            for variant in variants.values():
                rate = variant.run(case, seconds)
                after = wrk(bare_port, "/", 1)[0]
                variant.ratios[case].append(rate / ((before + after) / 2))
                bare[case].append(after)
                before = after
        print(f"throughput: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    dropped = 0
    for program in variants[ON].programs:
        program.wait_for(lambda: program.metric("telemetry_spans_queued") == 0, "the last spans to be exported")
        dropped += program.metric("telemetry_spans_dropped_total")
    exported = sum(program.metric("telemetry_spans_exported_total") for program in variants[ON].programs)
    for variant in variants.values():
        for program in variant.programs:
            program.stop()
    for process in (hello, sink):
        process.terminate()
        process.wait()

    results = {name: variant.figures() for name, variant in variants.items()}
    results[BARE] = {"per_second": {case: statistics.median(rates) for case, rates in bare.items()}}
    lines = [f"throughput: wrk, 32 kept connections, {seconds} s a run, median of {rounds}; × = compared with bare Pistache"]
    for case in CASES:
        rows = [[name, f"{one['times_bare'][case]:.3f}", f"{one['per_second'][case]:,.0f}", f"{one['p99_milliseconds'][case]:.1f}",
                 f"{one['cpu_seconds_per_1000_dice']:.4f}" if case == "/dice" else ""] for name, one in results.items() if name != BARE]
        rows.append([BARE, "1", f"{results[BARE]['per_second'][case]:,.0f}", "", ""])
        lines += table([case, "×", "per second", "p99 ms", "CPU s per 1,000" if case == "/dice" else ""], rows)

    def times(case, other):
        """Everything on, compared with another variant: the median of the rounds."""
        pairs = zip(variants[ON].ratios[case], variants[other].ratios[case])
        return statistics.median(here / there if there else math.inf for here, there in pairs)

    verdicts = [("every span exported", dropped == 0, f"{exported:.0f} exported, {dropped:.0f} dropped")]
    for case, least in (("/dice", 0.85), ("/roll", 0.35)):
        ratio = results[ON]["times_bare"][case]
        verdicts.append((f"{case} ≥ {least} × bare Pistache", ratio >= least, f"{ratio:.3f}"))
    wanted = [(case, OFF, 0.8) for case in CASES] + [(case, GO, 1) for case in CASES]
    wanted += [("batch of ten", BEFORE, 2.3), ("batch of ten", FASTAPI, 25)]
    for case, other, least in wanted:
        if other in variants:
            ratio = times(case, other)
            verdicts.append((f"{case} ≥ {least} × {other}", ratio >= least, f"{ratio:.2f}"))
    return results, lines, verdicts
