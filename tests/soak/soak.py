#!/usr/bin/env python3
"""What the services must withstand, in parts: prints what was tried, how often, and what clients got.

usage: tests/soak/soak.py BIN [PART ...]     (BIN: folder of the programs; default: all parts)

  storm       clients that disconnect, LEAVERS on each port (default 250000)
  dice        rolls while others abandon requests for another die
  crowd       clients that never read, send half a request, do nothing, or are too many
  clients     third-party clients and proxies over kept connections
  neighbours  other services that hang, reset, garble, send 10 MB, send slowly, or close connections at any moment
  collector   the same for the collector
  output      standard output blocked; disk full
  clock       the wall clock jumps
  exhausted   no descriptors, no threads
  memory      slow rolls and hostile clients in the memory of the chart's pod
  signals     SIGKILL and restart, SIGSTOP, of each service under load
  canary      a day of the canary's checks
  stops       the process tests under sanitizers, many times
  mixed       SOAK_MINUTES (default 30) of mixed traffic: memory, threads, descriptors and latency stay the same

Everything runs on this machine, on free ports. The exit code is 1 if a requirement is violated.
"""

import collections
import contextlib
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(pathlib.Path(__file__).parent)]
import clients  # noqa: E402
import faults  # noqa: E402
from program import Program  # noqa: E402
from report import percentile, verdict  # noqa: E402

LEAVERS = int(os.environ.get("LEAVERS", "250000"))
BIN = None


def ask(port, path):
    """(status, body) over a new connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]) if head else 0, body


def service(name, wrap=(), **variables):
    dice = {"DIE_SPECIFICATIONS": str(ROOT / "services/die-service/dice.yaml")}
    return Program(BIN, name, {"LOG_LEVEL": "warn", **dice, **variables}, wrap)


def ports_of(program):
    return program.port, program.metrics_port


@contextlib.contextmanager
def system(**variables):
    """The three services, by name."""
    programs = {}
    for name in ("die-service", "dice-roller", "frontend"):
        for other, program in programs.items():
            variable = other.upper().replace("-", "_")
            variables |= {f"{variable}_URL": program.url, f"{variable}_METRICS_URL": program.metrics_url}
        programs[name] = service(name, **variables)
    try:
        yield programs
    finally:
        codes = {name: program.stop() for name, program in reversed(programs.items())}
    assert not any(codes.values()), codes


PATHS = {
    "frontend": ["/dice", "/roll?die=fair", "/roll-async?die=fair&times=3", "/", "/app.js", "/metrics", "/nowhere"],
    "dice-roller": ["/", "/roll?die=fair", "/roll-async?die=fair&times=3", "/metrics", "/roll"],
    "die-service": ["/dice", "/dice/fair", "/dice/none", "/metrics", "/version"],
}
METRICS_PATHS = ["/metrics", "/healthz", "/debug/spans/0af7651916cd43dd8448eb211c80319c", "/nowhere"]


def storm_at(port, leavers, abandoned, honest=()):
    command = [str(BIN / "soak-storm"), str(port), str(leavers), *abandoned, *(["--", *honest] if honest else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def storm():
    """Every response reaches its own client."""
    print(f"storm: {LEAVERS} clients leave each port, as many honest requests among them", flush=True)
    held = True
    with system(ROLL_DELAY_MAX_SECONDS="0.002", TRACE_MEMORY_BYTES="4194304") as services:
        for name, paths in PATHS.items():
            for port, asked in zip(ports_of(services[name]), (paths, METRICS_PATHS)):
                result = storm_at(port, LEAVERS, asked)
                healthy = all(ask(port, "/healthz")[0] == 200 for _ in range(100))
                held &= verdict(f"{name}, port {'of metrics' if asked is METRICS_PATHS else 'of the API'}",
                                healthy and result["honest"] == LEAVERS and not any(result[key] for key in ("foreign", "unsolicited", "lost")),
                                ", ".join(f"{value} {key}" for key, value in result.items()) + ", /healthz 100 of 100")
    return held


def dice():
    """Rolls of `fair` while others abandon requests for a die whose one face is 777."""
    print("dice: rolls of fair while others abandon requests for a die with the face 777", flush=True)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("fair: {faces: [1, 2, 3, 4, 5, 6]}\nodd: {faces: [777]}\n")
        file.flush()
        with system(ROLL_DELAY_MAX_SECONDS="0", DIE_SPECIFICATIONS=file.name) as services:
            values, wrong, stop = collections.Counter(), [], threading.Event()

            def roll():
                while not stop.is_set():
                    status, body = ask(services["dice-roller"].port, "/roll?die=fair")
                    value = json.loads(body).get("roll") if status == 200 else None
                    values[value] += 1
                    if value not in range(1, 7):
                        wrong.append(body)

            threads = [threading.Thread(target=roll) for _ in range(4)]
            for thread in threads:
                thread.start()
            result = storm_at(services["die-service"].port, max(LEAVERS // 5, 1000), ["/dice/odd"], ["/dice/fair"])
            stop.set()
            for thread in threads:
                thread.join()
    return verdict("only 1 to 6", not wrong and not any(result[key] for key in ("foreign", "unsolicited", "lost")),
                   f"{sum(values.values())} rolls, {len(wrong)} wrong {wrong[:1]}, {result['left']} left")


# --- crowds ----------------------------------------------------------------------------------------------------------


def watched(program, seconds):
    """Requests /healthz and /metrics of both ports for a while: their durations, the failures, and the CPU share used."""
    times, failures = [], []
    cpu, start = program.cpu_seconds(), time.monotonic()
    while time.monotonic() - start < seconds:
        for port in ports_of(program):
            for path in ("/healthz", "/metrics"):
                begun = time.monotonic()
                try:
                    status = ask(port, path)[0]
                except OSError as error:
                    status = str(error)
                times.append(time.monotonic() - begun)
                if status != 200:
                    failures.append((port, path, status))
        time.sleep(0.1)  # the request rate, not a wait: this measures probes under load
    return times, failures, (program.cpu_seconds() - cpu) / (time.monotonic() - start)


def connection(program, number, port=None):
    """From one of many addresses, because the ports of one are not enough."""
    one = socket.socket()
    one.bind((f"127.0.{1 + number // 200 % 200}.{1 + number % 200}", 0))
    one.connect(("127.0.0.1", port or program.port))
    return one


def settled(program):
    """Seconds until the requested work is done."""
    start = time.monotonic()
    while time.monotonic() - start < 30:
        cpu = program.cpu_seconds()
        time.sleep(0.5)
        if program.cpu_seconds() - cpu <= 0.02:
            break
    return time.monotonic() - start - 0.5


def crowd_of(title, make, program, ends_in, limit_bytes=64 << 20, extra=lambda program: True):
    """`make(program)` returns the connections of the crowd."""
    print(f"crowd: {title}", flush=True)
    for _ in range(100):
        ask(program.port, "/dice")
        ask(program.metrics_port, "/metrics")
    rest, descriptors = program.resident(), program.descriptors()
    crowd = make(program)
    print(f"  the answers they asked for took {settled(program):.1f} s")
    times, failures, cpu = watched(program, 5)
    above = program.resident() - rest
    held = verdict("/healthz and /metrics of both ports", not failures and percentile(times, 0.99) <= 0.05,
                   f"{len(times)} asked, {len(failures)} failed {failures[:1] or ''}, median {statistics.median(times) * 1e3:.1f} ms, "
                   f"p99 {percentile(times, 0.99) * 1e3:.1f} ms, worst {max(times) * 1e3:.1f} ms")
    held &= verdict("CPU at most 10 % of a core", cpu <= 0.1, f"{cpu * 100:.1f} %")
    held &= verdict("memory at most 64 MiB above rest", above <= limit_bytes,
                    f"{above / 1e6:.1f} MB above {rest / 1e6:.1f} MB, {above / max(len(crowd), 1):.0f} bytes a connection of {len(crowd)}")
    held &= extra(program)
    deadline = time.monotonic() + ends_in
    while (left := program.descriptors() - descriptors) > 3 and time.monotonic() < deadline:  # calls keep connections, too
        time.sleep(0.1)
    held &= verdict("each is ended by its own limit", left <= 3, f"of {len(crowd)} connections {max(left, 0)} are left")
    for one in crowd:
        one.close()
    deadline = time.monotonic() + 20
    while program.resident() > rest + (8 << 20) and time.monotonic() < deadline:
        time.sleep(0.1)
    back = program.resident() - rest
    held &= verdict("memory is back", back <= 8 << 20, f"{back / 1e6:.1f} MB above rest")
    held &= verdict("exit code 0", program.stop() == 0, "after SIGTERM")
    return held


def never_read(program):
    crowd = []
    for number in range(200):
        for port, path in zip(ports_of(program), ("/", "/metrics")):
            one = connection(program, number, port)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(200):
                    one.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 5)
            crowd.append(one)
    return crowd


def slow_senders(program):
    crowd = []
    for number in range(500):
        one = connection(program, number)
        one.sendall((b"GET /dice HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"PUT /dice HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nxxx")[number % 2])
        crowd.append(one)
    return crowd


def idle(program):
    crowd = []
    for number in range(10_000):
        one = connection(program, number)
        if number % 2:
            one.sendall(b"GET /dice HTTP/1.1\r\nHost: x\r\n\r\n")
            one.recv(65536)
        crowd.append(one)
    return crowd


def too_many(program):
    return [connection(program, number, ports_of(program)[number % 2]) for number in range(600)]


def crowd():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = crowd_of("200 clients each ask for / and /metrics 1,000 times and never read", never_read,
                    service("die-service", HTTP_WRITE_TIMEOUT_SECONDS="15", HTTP_IDLE_TIMEOUT_SECONDS="20", TRACE_MEMORY_SPANS="0"), 40)
    held &= crowd_of("500 slow senders, of headers and of bodies", slow_senders,
                     service("die-service", HTTP_HEADER_TIMEOUT_SECONDS="12", HTTP_BODY_TIMEOUT_SECONDS="12"), 30)
    if hard < 12_000:
        print(f"crowd: left out: 10,000 idle connections, this shell may open {hard} descriptors")
    else:
        held &= crowd_of("10,000 idle connections", idle, service("die-service", HTTP_IDLE_TIMEOUT_SECONDS="15"), 60)
    dice = service("die-service")

    def rolls_go_on(program):
        answers = collections.Counter(ask(program.port, "/roll?die=fair")[0] for _ in range(100))
        return verdict("calls to die-service find descriptors", answers[200] >= 95, f"{dict(answers)} of 100 rolls")

    held &= crowd_of("600 connections where 256 descriptors may be open", too_many,
                     service("dice-roller", wrap=["prlimit", "--nofile=256:256"], DIE_SERVICE_URL=dice.url,
                             ROLL_DELAY_MAX_SECONDS="0", HTTP_IDLE_TIMEOUT_SECONDS="12"), 40, extra=rolls_go_on)
    dice.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return held


def real_clients():
    print(f"clients: those that others wrote, {clients.CALLS} calls each over kept connections", flush=True)
    with system(ROLL_DELAY_MAX_SECONDS="0") as services:
        return clients.try_all({"frontend": (services["frontend"].port, "/roll?die=fair"),
                                "die-service": (services["die-service"].port, "/dice")}, verdict)


def memory():
    return faults.memory({"200 clients that never read": never_read, "500 slow senders": slow_senders, "600 idle connections": too_many})


def canary():
    return subprocess.run([sys.executable, pathlib.Path(__file__).with_name("canary.py"), BIN]).returncode == 0


def stops():
    return subprocess.run(["make", "-C", ROOT, "stops"]).returncode == 0


PARTS = {"storm": storm, "dice": dice, "crowd": crowd, "clients": real_clients, "neighbours": faults.neighbours,
         "collector": faults.collector, "output": faults.output, "clock": faults.clock, "exhausted": faults.exhausted, "memory": memory,
         "signals": faults.signals, "canary": canary, "stops": stops, "mixed": faults.mixed}


def main():
    global BIN
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= PARTS.keys():
        sys.exit(__doc__)
    BIN = faults.BIN = pathlib.Path(sys.argv[1]).resolve()
    held = {}
    for name in sys.argv[2:] or PARTS:
        begun = time.monotonic()
        held[name] = PARTS[name]()
        print(f"{name}: {'passed' if held[name] else 'FAILED'} after {time.monotonic() - begun:.0f} s\n", flush=True)
    sys.exit(0 if all(held.values()) else 1)


if __name__ == "__main__":
    main()
