#!/usr/bin/env python3
"""Counts the instructions and the allocations per request of each service, with valgrind: timing has no part in it.

usage: tests/instructions/instructions.py     writes the golden file of this Debian release, by `make instructions`

Everything is on, as in production: metrics, log lines, spans kept in memory and exported. Left out is what depends on timing:
the threads that watch files (the main one) and write the log, the timers of the I/O threads (no_timers.cc), and how long the
allocator searches; its calls are counted.
"""

import json
import os
import pathlib
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "bench")]

import contract  # noqa: E402
from program import DICE_ROLLER, DIE_SERVICE, Program, helper  # noqa: E402

FOLDER = pathlib.Path(__file__).parent
ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign"}
FREE = {"free", "malloc_trim"}
LOG_WRITER = "dice::LogSink::run()"
# What the beginnings of names of functions are part of.
TELEMETRY = {"dice::Tracing::start(": "spans", "dice::Span::": "spans", "dice::Logger::log(": "log lines"}
# name: services counted, the first of which is asked; path; requests before counting, requests counted. The first fill what is
# kept: threads, connections, and the memories of spans and log lines, which are small here. Spans are exported a hundred at a
# time, in between the readings: at each of them, 25 to 75 are waiting.
CASES = {
    "/dice": ([DIE_SERVICE], "/dice", 150, 400),
    "/roll": ([DICE_ROLLER, DIE_SERVICE], "/roll?die=fair", 125, 200),
    "batch of ten": ([DICE_ROLLER], "/roll-async?die=fair&times=10", 100, 100),
}
SETTINGS = {"ROLL_DELAY_MAX_SECONDS": "0", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100",
            "OTEL_BSP_SCHEDULE_DELAY": "600000", "TRACE_MEMORY_SPANS": "100", "LOG_MEMORY_BYTES": "32768",
            "DIE_SERVICE_TIMEOUT_SECONDS": "60"}
# What the counts depend on, besides the project's own code.
PACKAGES = ["g++", "libstdc++6", "libc6", "libpistache-dev", "libboost-dev", "prometheus-cpp-dev", "libcurl4-openssl-dev",
            "opentelemetry-cpp-dev", "rapidjson-dev", "valgrind"]


def golden_path():
    return FOLDER / f"{platform.freedesktop_os_release().get('VERSION_CODENAME')}-{platform.machine()}.json"


def versions():
    shown = subprocess.run(["dpkg-query", "-Wf", "${Package} ${Version}\n", *PACKAGES], capture_output=True, text=True)
    return dict(line.split() for line in shown.stdout.splitlines())


class Unreadable(Exception):
    """vgdb cannot reach the program under valgrind."""


class Counted:
    """A service under callgrind."""

    def __init__(self, name, folder, env):
        self.folder, self.reading = pathlib.Path(folder), 0
        under = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={folder}/{name}"]
        programs = contract.default_bin().resolve()
        preload = {"LD_PRELOAD": str(programs / "libno-timers.so")}
        self.program = Program(programs, name, {**SETTINGS, **preload, **env}, wrap=under)
        self.name = name

    def read(self):
        """[instructions without the allocator's, allocations, with the allocator: all instructions, those for spans, for log lines] since the last reading."""
        command = ["vgdb", f"--pid={self.program.process.pid}", "--wait=60", "dump"]
        # It looks for the program under the user and the host in its environment, of which the program's has none.
        done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
        if done.returncode != 0:  # for example where no process may trace another
            raise Unreadable(" ".join(done.stderr.split()) or f"vgdb ended with {done.returncode}")
        self.reading += 1
        threads = [parse(path.read_text()) for path in sorted(self.folder.glob(f"{self.name}.{self.reading}-*"))[1:]]
        counted = [figures for figures, functions in threads if LOG_WRITER not in functions]
        if len(counted) == len(threads):
            sys.exit(f"{self.name} has no thread in {LOG_WRITER}, which is left out; tests/instructions names it")
        return [sum(column) for column in zip(*counted)]


def parse(profile):
    """(figures as of Counted.read, functions) of one thread's profile:
    https://valgrind.org/docs/manual/cl-format.html"""
    names, functions, allocations, caller, called = {}, set(), 0, "", ""
    telemetry = {"spans": 0, "log lines": 0}
    instructions = total = int(re.search(r"^(?:totals|summary): (\d+)", profile, re.MULTILINE)[1])
    for kind, number, name, calls, inclusive in re.findall(
            r"^(?:(c?fn)=\((\d+)\)(?: (.*))?|calls=(\d+) .*\n\S+ (\d+))$", profile, re.MULTILINE):
        if kind:
            called = names.setdefault(number, name)
            caller = called if kind == "fn" else caller
            functions.add(called)
        elif called in ALLOCATORS | FREE and caller not in ALLOCATORS | FREE:
            instructions -= int(inclusive)
            allocations += int(calls) if called in ALLOCATORS else 0
        elif (part := part_of(called)) and not part_of(caller):
            telemetry[part] += int(inclusive)
    return [instructions, allocations, total, *telemetry.values()], functions


def part_of(function):
    return next((part for begin, part in TELEMETRY.items() if function.startswith(begin)), None)


def ask(connection, path, times):
    """Sequential requests, each of the same bytes."""
    for _ in range(times):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536) or sys.exit(f"{path}: the connection was closed")
        head, _, body = answer.partition(b"\r\n\r\n")
        left = int(re.search(rb"Content-Length: (\d+)", head)[1]) - len(body)
        while left > 0:
            left -= len(connection.recv(65536))
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"{path}: {head}")


def count():
    """{case: {service: {"instructions": per request, "allocations": per request}}}, {(case, service): share of the telemetry}"""
    sink, sink_port = helper(contract.default_bin(), "bench-sink")
    export = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink_port}"}
    services, counts, shares = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            services[DIE_SERVICE] = Counted(DIE_SERVICE, folder, export)
            die_service = services[DIE_SERVICE].program
            services[DICE_ROLLER] = Counted(DICE_ROLLER, folder, {**export, "DIE_SERVICE_URL": die_service.url})
            for case, (names, path, before, times) in CASES.items():
                counts[case] = {}
                with socket.create_connection(("127.0.0.1", services[names[0]].program.port)) as connection:
                    ask(connection, path, before)
                    for name in names:
                        services[name].read()
                    ask(connection, path, times)
                    for name in names:
                        instructions, allocations, total, spans, lines = services[name].read()
                        counts[case][name] = {"instructions": round(instructions / times), "allocations": round(allocations / times, 1)}
                        shares[case, name] = f"{spans / total:.0%} for spans, {lines / total:.0%} for log lines"
        finally:
            for service in services.values():
                service.program.stop()
            sink.terminate()
            sink.wait()
    return counts, shares


def table(counts, shares):
    return "\n".join(f"{case:13} {service:12} {one['instructions']:9,} instructions ({shares[case, service]}) {one['allocations']:7} allocations"
                     for case, services in counts.items() for service, one in services.items())


def median_of(several):
    """The median of each figure."""
    return {case: {name: {figure: statistics.median(one[case][name][figure] for one in several) for figure in figures}
                   for name, figures in services.items()} for case, services in several[0].items()}


def main():
    try:
        counted = [count() for _ in range(3)]
    except Unreadable as error:
        sys.exit(f"nothing can be counted here: {error}")
    counts = median_of([counts for counts, _ in counted])
    print(table(counts, counted[-1][1]))
    golden_path().write_text(json.dumps({"per_request": counts, "versions": versions()}, indent=2) + "\n")
    print(f"written to {os.path.relpath(golden_path())}")


if __name__ == "__main__":
    main()
