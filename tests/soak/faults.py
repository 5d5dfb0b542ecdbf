"""Faults of the machine and of other services: what is tried, how often, and what clients get.

Parts that require root, cgroups or libfaketime are left out, and say so, if these are missing.
"""

import collections
import contextlib
import glob
import http.client
import json
import math
import os
import pathlib
import random
import re
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

from program import ROOT, Program, free_port
from report import percentile, verdict

MIB = 1 << 20
#: How much later than its timeout a response may arrive on a busy machine.
SLACK_SECONDS = 1
ROLL, BATCH = "/roll?die=fair", "/roll-async?die=fair&times=5"
NAMES = ("die-service", "dice-roller", "frontend")
BIN = None


def start(name, wrap=(), **variables):
    defaults = {"LOG_LEVEL": "warn", "DIE_SPECIFICATIONS": str(ROOT / "services/die-service/dice.yaml"), "ROLL_DELAY_MAX_SECONDS": "0"}
    return Program(BIN, name, {**defaults, **variables}, wrap)


def at(program):
    """The variables with which others find it."""
    name = program.name.upper().replace("-", "_")
    return {f"{name}_URL": program.url, f"{name}_METRICS_URL": program.metrics_url}


@contextlib.contextmanager
def running(*programs):
    try:
        yield programs
    finally:
        codes = [program.stop() for program in reversed(programs)]
    assert not any(codes), codes


@contextlib.contextmanager
def system(wrap=lambda name: (), **variables):
    """The three services, by name; a test may replace one."""
    programs = {}
    try:
        for name in NAMES:
            for program in programs.values():
                variables |= at(program)
            programs[name] = start(name, wrap(name), **variables)
        yield programs
    finally:
        codes = {name: programs[name].stop() for name in reversed(programs)}
    assert not any(codes.values()), codes


def shell(redirection):
    """A command that executes a program with its output redirected."""
    return ["sh", "-c", f'exec "$0" {redirection}']


# --- clients ---------------------------------------------------------------------------------------------------------


class Client:
    """Calls over a kept connection. Not thread-safe."""

    def __init__(self, port, timeout=30):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.trace = None

    def get(self, path):
        """`200`, the status and the code of an error, or what became of the connection."""
        try:
            self.connection.request("GET", path)
            reply = self.connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return type(error).__name__
        self.trace = (reply.headers["traceresponse"] or "").split("-")[1:2]
        return "200" if reply.status == 200 else f"{reply.status} {json.loads(body)['error']['code']}"


def once(program, path=ROLL):
    client = Client(program.port)
    answer = client.get(path)
    client.connection.close()
    return answer


Call = collections.namedtuple("Call", "begun seconds answer path trace")


class Traffic:
    """Clients that repeat their paths, until `count` calls have been made or the block ends."""

    def __init__(self, port, paths, clients=8, count=math.inf, pause=0):
        self.calls, self._pause, self._left, self._lock = [], pause, count, threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port, paths[n % len(paths):] + paths[:n % len(paths)]))
                         for n in range(clients)]

    def _run(self, port, paths):
        client, turn = Client(port), 0
        while not self._stop.wait(self._pause):
            with self._lock:
                self._left -= 1
                if self._left < 0:
                    break
            path = paths[turn % len(paths)]
            begun = time.monotonic()
            answer = client.get(path)
            self.calls.append(Call(begun, time.monotonic() - begun, answer, path, client.trace))
            turn += 1
            if answer[0].isalpha():
                self._stop.wait(0.05)  # the rate of attempts while nobody accepts connections
        client.connection.close()

    def join(self):
        for thread in self._threads:
            thread.join()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.join()


def calls(port, paths, count, clients=8):
    with Traffic(port, paths, clients, count) as traffic:
        traffic.join()
    return traffic.calls


def told(made):
    """Answers by number, and the longest duration."""
    answers = collections.Counter(call.answer for call in made)
    return f"{', '.join(f'{number} × {answer}' for answer, number in answers.most_common())}; longest {longest(made):.2f} s"


def longest(made):
    return max((call.seconds for call in made), default=0)


def answers_of(made):
    return {call.answer for call in made}


def until(condition, seconds):
    """How long it took; infinite if it did not come true."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.02)
    return math.inf


def recovers(program, path, within, what="recovered"):
    seconds = until(lambda: once(program, path) == "200", within + 5)
    after = calls(program.port, [path], 20, 4)
    return verdict(what, seconds <= within and answers_of(after) == {"200"}, f"after {seconds:.2f} s; then {told(after)}")


# --- faulty neighbours -----------------------------------------------------------------------------------------------


class Neighbour:
    """Stands for die-service, dice-roller or a collector. `mode` is one of `FAULTS`, or `well`."""

    FAULTS = ("hangs", "resets", "garbles", "10 MB", "10 MB in chunks", "byte at a time", "closes idle connections",
              "closes at any moment")
    BODIES = {"/roll?": b'{"roll":3}', "/roll-async": b'{"total":9,"rolls":[1,3,5],"count":3}',
              "/dice/": b'{"identifier":"fair","specification":{"faces":[1,2,3],"error_rate":0}}',
              "/v1/traces": b""}
    LONG = {"10 MB": b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(10_000_000),
            "10 MB in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b" " * 1000 + b"\r\n") * 10_000}

    def __init__(self):
        self.mode, self.requests = "well", 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while request := self._read(connection):
                self.requests += 1
                body = next(body for path, body in self.BODIES.items() if path.encode() in request)
                good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                if not self._answer(connection, self.mode, good):
                    return

    @staticmethod
    def _read(connection):
        """The head of a request; empty at the end."""
        text = b""
        while b"\r\n\r\n" not in text:
            if not (part := connection.recv(65536)):
                return b""
            text += part
        head, _, body = text.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
        left = int(length[1]) - len(body) if length else 0
        while left > 0:
            left -= len(connection.recv(65536)) or left
        return head

    def _answer(self, connection, mode, good):
        """Whether the connection stays open."""
        if mode == "well":
            connection.sendall(good)
        elif mode == "hangs":
            connection.recv(1)  # until the caller gives up
        elif mode == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        elif mode == "garbles":
            connection.sendall(random.choice((random.randbytes(500), b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + good,
                                              good[:-5] + b"\0\xff{[\"", good.replace(b":", b";"))))
            return False
        elif mode in self.LONG:
            connection.sendall(self.LONG[mode])
        elif mode == "byte at a time":
            for number in range(len(good)):
                connection.sendall(good[number:number + 1])
                time.sleep(0.1)  # the rate of the bytes
        elif mode == "closes idle connections":
            connection.sendall(good)
            time.sleep(random.choice((0, 0, 0.001, 0.01)))  # any moment
            return random.random() < 0.5
        else:  # closes at any moment
            connection.sendall(good[:random.choice((0, len(good) // 2, len(good), len(good)))])
            return False
        return True


#: What a client may get, by the neighbour's fault; the first is what most get.
EXPECTED = {"hangs": {"504 downstream_timeout"}, "resets": {"502 downstream_unavailable"},
            "garbles": {"502 downstream_invalid", "502 downstream_unavailable"}, "10 MB": {"502 downstream_invalid"},
            "10 MB in chunks": {"502 downstream_invalid"}, "byte at a time": {"504 downstream_timeout"},
            "closes idle connections": {"200"}, "closes at any moment": {"200", "502 downstream_unavailable"}}


def neighbour(title, make, timeouts, breaker=None):
    """`make(url)` returns the service that calls it; `timeouts` are {path: seconds}."""
    held = True
    faulty = Neighbour()
    with running(make(faulty.url)) as (program,):
        answers = [once(program, path) for path in timeouts]
        assert set(answers) == {"200"}, answers
        for mode in Neighbour.FAULTS:
            pathlib.Path(f"/proc/{program.process.pid}/clear_refs").write_text("5")  # the peak starts again
            rest, faulty.requests, faulty.mode = program.resident(), 0, mode
            for path, timeout in timeouts.items():
                made = calls(program.port, [path], 40)
                held &= verdict(f"{title} {mode}: {path}", answers_of(made) <= EXPECTED[mode] and longest(made) <= timeout + SLACK_SECONDS,
                                f"{told(made)}, timeout {timeout} s")
            above = peak(program) - rest
            held &= verdict(f"{title} {mode}: memory", above <= 16 * MIB, f"at most {above / MIB:.1f} MiB above {rest / MIB:.1f} MiB, "
                            f"{faulty.requests} requests to the neighbour")
            faulty.mode = "well"
            held &= recovers(program, next(iter(timeouts)), SLACK_SECONDS, f"{title} {mode}: recovers")
    if breaker:
        pause = 1
        with running(breaker(faulty.url, pause)) as (program,):
            for mode in ("hangs", "resets", "garbles", "10 MB", "byte at a time"):
                faulty.mode = mode
                made = calls(program.port, [ROLL], 60)
                paused = [call for call in made if call.answer == "503 circuit_open"]
                held &= verdict(f"{title} {mode}: circuit breaker", paused and answers_of(made) <= EXPECTED[mode] | {"503 circuit_open"},
                                f"{told(made)}, paused {longest(paused):.3f} s")
                faulty.mode = "well"
                held &= recovers(program, ROLL, pause + SLACK_SECONDS, f"{title} {mode}: recovers, pause {pause} s")
    return held


def peak(program):
    text = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", text, re.MULTILINE)[1]) * 1024


def neighbours():
    print("neighbours: each fault of a neighbour, 40 requests by 8 clients", flush=True)
    held = neighbour("die-service", lambda url: start("dice-roller", DIE_SERVICE_URL=url, DIE_SERVICE_TIMEOUT_SECONDS="2", DIE_BREAKER_FAILURES="0"),
                     {ROLL: 2, BATCH: 2},
                     lambda url, pause: start("dice-roller", DIE_SERVICE_URL=url, DIE_SERVICE_TIMEOUT_SECONDS="2",
                                              DIE_BREAKER_PAUSE_SECONDS=str(pause)))
    with running(start("die-service")) as (dice,):
        held &= neighbour("dice-roller", lambda url: start("frontend", **at(dice), DICE_ROLLER_URL=url, ROLL_TIMEOUT_SECONDS="2",
                                                           ROLL_ASYNC_TIMEOUT_SECONDS="3"), {ROLL: 2, BATCH: 3})
    return held


def collector():
    print("collector: each fault of the collector, 400 requests by 8 clients, which must not notice", flush=True)
    held, faulty = True, Neighbour()
    with running(start("die-service", OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=faulty.url, OTEL_BSP_SCHEDULE_DELAY="100",
                       OTEL_EXPORTER_OTLP_TIMEOUT="1000")) as (program,):
        ended, lost = 0, 0
        for mode in Neighbour.FAULTS:
            rest, faulty.requests, faulty.mode = program.resident(), 0, mode
            made = calls(program.port, ["/dice"], 400)
            until(lambda: faulty.requests >= 2, 5)
            above, faulty.mode, ended = program.resident() - rest, "well", ended + len(made)
            exported = "telemetry_spans_exported_total"
            seconds = until(lambda: program.metric(exported) + program.metric("telemetry_spans_dropped_total") >= ended, 60)
            lost, before = program.metric("telemetry_spans_dropped_total"), lost
            held &= verdict(f"collector {mode}", answers_of(made) == {"200"} and longest(made) <= SLACK_SECONDS and above <= 16 * MIB
                            and seconds < math.inf and lost == before,
                            f"{told(made)}; {above / MIB:.1f} MiB more; {faulty.requests} attempts; all exported {seconds:.1f} s after it is well, "
                            f"{lost - before:.0f} lost")
    return held


# --- standard output -------------------------------------------------------------------------------------------------


def lost_lines(program):
    return int(program.metric("telemetry_log_lines_dropped_total"))


def broken(lines):
    """The number of lines that are not JSON objects."""
    wrong = 0
    for line in lines:
        try:
            wrong += not isinstance(json.loads(line), dict)
        except ValueError:
            wrong += 1
    return wrong


def blocked(folder):
    """A pipe that nobody reads."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with running(start("die-service")) as (dice,):
        roller = start("dice-roller", shell(f">{pipe}"), LOG_LEVEL="info", **at(dice))
        rest = roller.resident()
        made = calls(roller.port, ["/roll-async?die=fair&times=20"], 2500)
        above, lost = roller.resident() - rest, lost_lines(roller)
        held = verdict("stdout blocked", answers_of(made) == {"200"} and longest(made) <= 1 + SLACK_SECONDS,
                       f"{told(made)}, at most 1 s to find out that nobody reads")
        held &= verdict("stdout blocked: the lines are dropped and counted", 0 < lost, f"{lost} lines")
        held &= verdict("stdout blocked: memory", above <= 64 * MIB, f"{above / MIB:.1f} MiB above {rest / MIB:.1f} MiB, the buffers are 8 MiB "
                        "of lines, 8 MiB of log memory and 32 MiB of spans")
        text, client, traces = b"", Client(roller.port), []

        def drained():
            """Whether the lines are those of new requests."""
            nonlocal text
            while select.select([reader], [], [], 0.05)[0]:
                text += os.read(reader, MIB)
            client.get(ROLL)
            traces.append(client.trace[0].encode())
            return any(trace in text for trace in traces)

        seconds = until(drained, 20)
        lines = text.split(b"\n")[:-1]
        held &= verdict("stdout read again", seconds < math.inf and not broken(lines),
                        f"a new line after {seconds:.2f} s; {len(lines)} lines, {broken(lines)} broken")
        calls(roller.port, [BATCH], 1000)  # more than a pipe holds
        begun = time.monotonic()
        code = roller.stop()
        held &= verdict("stdout blocked: SIGTERM", code == 0 and time.monotonic() - begun <= 5, f"exit code {code} after {time.monotonic() - begun:.2f} s")
    os.close(reader)
    return held


def full(target):
    """A device that is always full."""
    with running(start("die-service")) as (dice,):
        roller = start("dice-roller", shell(f">{target}"), LOG_LEVEL="info", **at(dice))
        made = calls(roller.port, [ROLL, BATCH], 1000)
        lost, cpu = lost_lines(roller), roller.cpu_seconds()
        time.sleep(2)  # measures the CPU used by doing nothing
        idle = (roller.cpu_seconds() - cpu) / 2
        held = verdict(f"stdout is {target}", answers_of(made) == {"200"}, told(made))
        held &= verdict(f"stdout is {target}: lost lines are counted", lost >= len(made), f"{lost} lines")
        held &= verdict(f"stdout is {target}: idle afterwards", idle <= 0.1, f"{idle * 100:.1f} % of a core")
        code = roller.stop()
        return held & verdict(f"stdout is {target}: SIGTERM", code == 0, f"exit code {code}")


def disk(folder):
    """A disk that fills up, and has room again later."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], stderr=subprocess.DEVNULL).returncode != 0:
        print("  left out: a disk that fills up, this user may not mount a tmpfs")
        return True
    try:
        filler, log = folder / "filler", folder / "log"
        filler.write_bytes(bytes(MIB // 2))
        with running(start("die-service")) as (dice,):
            roller = start("dice-roller", shell(f">>{log}"), LOG_LEVEL="info", **at(dice))
            made = calls(roller.port, [ROLL, BATCH], 1000)
            lost = lost_lines(roller)
            held = verdict("disk full", answers_of(made) == {"200"} and lost > 0, f"{told(made)}; {log.stat().st_size} bytes written, {lost} lines lost")
            filler.unlink()
            made = calls(roller.port, [ROLL], 100)
            code = roller.stop()
        lines = log.read_bytes().split(b"\n")
        cut = broken(lines[:-1])
        held &= verdict("disk has room again", answers_of(made) == {"200"} and code == 0 and cut <= 1 and lines[-1] == b"" and len(lines) > 200,
                        f"{told(made)}; {len(lines) - 1} lines, {cut} broken, at most the one that filled the disk")
    finally:
        subprocess.run(["umount", folder], check=True)
    return held


def output():
    print("output: standard output that takes nothing", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        return blocked(folder) & full("/dev/full") & disk(folder / "disk")


# --- clock -----------------------------------------------------------------------------------------------------------


def negative(program):
    """Series of durations and gauges below zero."""
    return {series: value for series, value in program.metrics().items() if float(value) < 0}


def reversed_spans(program, made):
    """(spans, spans that end before they start or last longer than any call)."""
    spans = []
    for call in made:
        with contextlib.suppress(OSError):
            document = json.load(urllib.request.urlopen(f"{program.metrics_url}/debug/spans/{call.trace[0]}"))
            spans += [span for one in document["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]]
    lengths = [(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9 for span in spans if "endTimeUnixNano" in span]
    return len(lengths), sum(not 0 <= seconds <= longest(made) + 0.01 for seconds in lengths)


def clock():
    """The wall clock jumps; the steady clock does not."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        print("clock: left out, the package libfaketime is not installed")
        return True
    print("clock: the wall clock jumps under 8 clients; durations come from the steady clock", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        offset = pathlib.Path(folder, "offset")

        def jump(seconds):
            offset.with_suffix(".new").write_text(f"{seconds:+d}")
            offset.with_suffix(".new").rename(offset)

        jump(0)
        fake = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
        return clock_jumps(jump, fake) & clock_breaker(jump, fake)


def clock_jumps(jump, fake):
    held = True
    with system(**fake, LOG_LEVEL="info", ROLL_DELAY_MAX_SECONDS="0.3") as services:
        for seconds in (3600, 0, -86_400, 86_400, 0):
            begun = time.monotonic()
            with Traffic(services["frontend"].port, [ROLL, BATCH, "/dice"], pause=0.01) as traffic:
                time.sleep(1)  # the traffic before the jump
                jump(seconds)
                jumped = time.monotonic()
                time.sleep(2)  # and after it
            across = [call for call in traffic.calls if call.begun <= jumped <= call.begun + call.seconds and call.path != "/dice"]
            held &= verdict(f"clock at {seconds:+d} s", answers_of(traffic.calls) == {"200"} and longest(traffic.calls) <= 0.3 + 2 * SLACK_SECONDS,
                            f"{told(traffic.calls)}; {len(across)} during the jump")
            for name, program in services.items():
                wrong = negative(program)
                count, bad = reversed_spans(program, across)
                stamp = json.loads(pathlib.Path(program.log.name).read_text().splitlines()[-1])["timestamp"]
                late = time.time() + seconds - time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone
                held &= verdict(f"clock at {seconds:+d} s: {name}", not wrong and not bad and abs(late) <= time.monotonic() - begun,
                                f"no series below zero {wrong or ''}, {count} spans of requests during the jump, {bad} with a wrong duration; "
                                f"the last line is {late:.0f} s old")
    return held


def clock_breaker(jump, fake):
    pause = 2
    with running(start("dice-roller", **fake, DIE_SERVICE_URL=f"http://127.0.0.1:{free_port()}", DIE_BREAKER_FAILURES="1",
                       DIE_BREAKER_PAUSE_SECONDS=str(pause))) as (roller,):
        held = True
        for seconds in (86_400, -86_400):
            jump(0)
            until(lambda: once(roller) == "502 downstream_unavailable", 5)
            jump(seconds)
            waited = until(lambda: once(roller) != "503 circuit_open", 10)
            held &= verdict(f"clock {seconds:+d} s: circuit breaker", pause - 0.1 <= waited + 0.1 <= pause + SLACK_SECONDS,
                            f"the pause of {pause} s took {waited:.2f} s")
    jump(0)
    with running(start("die-service")) as (dice,), running(start("dice-roller", **fake, **at(dice), RATE_LIMIT_RPS="10")) as (roller,):
        for seconds in (86_400, -86_400):
            begun = time.monotonic()
            with Traffic(roller.port, [ROLL], pause=0.01) as traffic:
                time.sleep(1)  # the traffic before the jump
                jump(seconds)
                time.sleep(2)  # and after it
            took = time.monotonic() - begun
            rolled = sum(call.answer == "200" for call in traffic.calls)
            held &= verdict(f"clock {seconds:+d} s: rate limit", 0.8 * 10 * took <= rolled <= 10 * took + 11 and
                            answers_of(traffic.calls) <= {"200", "429 rate_limited"},
                            f"{rolled} in {took:.1f} s at 10 per second and a burst of 10; {told(traffic.calls)}")
    return held


# --- exhausted resources ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def cgroup(controller, first, second):
    """A control group with the limits {file: text} of version 1 or 2, or None: not root, or no such controller."""
    made = None
    for parent, limits in ((pathlib.Path("/sys/fs/cgroup") / controller, first), (pathlib.Path("/sys/fs/cgroup"), second)):
        group = parent / f"dice-soak-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                for file, text in limits.items():
                    (group / file).write_text(text)
                made = group
                break
            except OSError:
                group.rmdir()
    try:
        yield made
    finally:
        if made:
            until(lambda: not (made / "cgroup.procs").read_text(), 5)
            made.rmdir()


def inside(group):
    return ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$0"'] if group else ()


def no_descriptors():
    held = True
    with system() as services:
        for name, allowed in (("die-service", {"200"}), ("dice-roller", {"200", "502 downstream_unavailable", "503 circuit_open", "503 overloaded"}),
                              ("frontend", {"200", "502 downstream_unavailable", "503 circuit_open", "503 overloaded"})):
            program = services[name]
            path = "/dice" if name == "die-service" else ROLL
            before = resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE)
            with Traffic(program.port, [path], 4, pause=0.01) as traffic:
                until(lambda: len(traffic.calls) >= 20, 5)
                resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (program.descriptors(), before[1]))
                cpu, begun = program.cpu_seconds(), time.monotonic()
                strangers = []
                for _ in range(100):  # connections for which there is no descriptor
                    strangers.append(socket.create_connection(("127.0.0.1", program.port), timeout=5))
                time.sleep(3)  # the traffic meanwhile
                used = (program.cpu_seconds() - cpu) / (time.monotonic() - begun)
                resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, before)
            for stranger in strangers:
                stranger.close()
            held &= verdict(f"{name}: no descriptor left for 3 s", answers_of(traffic.calls) <= allowed,
                            f"{told(traffic.calls)}, 100 new connections meanwhile, {used * 100:.0f} % of a core")
            held &= recovers(program, path, 2 + SLACK_SECONDS, f"{name}: descriptors again")
    return held


def no_threads():
    with cgroup("pids", {"pids.max": "max"}, {"pids.max": "max"}) as group:
        if not group:
            print("  left out: no threads left, this user may not create a control group")
            return True
        held = True
        with system(lambda name: inside(group) if name != "die-service" else (), ROLL_DELAY_MIN_SECONDS="0.2", ROLL_DELAY_MAX_SECONDS="0.2") as services:
            for name in ("dice-roller", "frontend"):
                program = services[name]
                (group / "pids.max").write_text(str(int((group / "pids.current").read_text()) + 8))
                made = calls(program.port, [ROLL, "/roll-async?die=fair&times=20"], 400, 32)
                held &= verdict(f"{name}: 8 threads left in all", answers_of(made) == {"200", "503 overloaded"} and longest(made) <= 20 * 0.2 + SLACK_SECONDS and
                                once(program, "/healthz") == "200", f"{told(made)}; /healthz {once(program, '/healthz')}")
                (group / "pids.max").write_text("max")
                held &= recovers(program, BATCH, 1 + SLACK_SECONDS, f"{name}: threads again")
    return held


def exhausted():
    print("exhausted: descriptors and threads", flush=True)
    return no_descriptors() & no_threads()


# --- memory ----------------------------------------------------------------------------------------------------------


def pod_limit():
    """Bytes: limits.memory of the chart."""
    text = (ROOT / "charts/dice/values.yaml").read_text()
    return int(re.search(r"^resources: .*limits: \{memory: (\d+)Mi", text, re.MULTILINE)[1]) * MIB


def limited(title, name, load, **variables):
    """`load(program)` returns whether all was well, and what clients got."""
    limit, files = pod_limit(), {"memory.limit_in_bytes": "memory.max_usage_in_bytes", "memory.max": "memory.peak"}
    with cgroup("memory", *({file: str(limit)} for file in files)) as group:
        program = start(name, inside(group), **variables)
        rest = program.resident()
        well, text = load(program)
        alive = program.process.poll() is None
        most = peak(program) if alive else 0
        used = [int((group / file).read_text()) for file in files.values() if group and (group / file).exists()]
        where = f"{used[0] / MIB:.1f} MiB with the kernel's" if used else "no control group: compared with the limit"
        held = verdict(title, well and alive and most <= limit, f"{text}; resident {rest / MIB:.1f} MiB before, at most {most / MIB:.1f} MiB, {where}")
        return held & verdict(f"{title}: exit code 0", alive and program.stop() == 0, "after SIGTERM")


def statuses(connections, seconds=60):
    counts = collections.Counter()
    for one in connections:
        one.settimeout(seconds)
        with contextlib.suppress(OSError):
            counts[one.recv(65536)[9:12].decode() or "closed"] += 1
        one.close()
    return counts


def memory(crowds):
    """`crowds` are {title: make(program) -> connections}."""
    print(f"memory: limits.memory of the chart, {pod_limit() // MIB} MiB", flush=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def ask(port, path, number):
        connections = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(number)]
        for one in connections:
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return statuses(connections)

    def slow_rolls(program):
        counts = ask(program.port, ROLL, 2000)
        return counts["200"] >= 1980, f"2,000 rolls at once: {dict(counts)}"

    def slow_batches(program):
        counts = ask(program.port, "/roll-async?die=fair&times=20", 100)
        return counts["200"] >= 99, f"100 batches of 20 at once: {dict(counts)}"

    slow = {"ROLL_DELAY_MIN_SECONDS": "5", "ROLL_DELAY_MAX_SECONDS": "5", "MAX_ROLL_THREADS": "2048"}
    with running(start("die-service")) as (dice,):
        held = limited("dice-roller, 2,000 slow rolls", "dice-roller", slow_rolls, **at(dice), **slow)
        held &= limited("dice-roller, 100 slow batches", "dice-roller", slow_batches, **at(dice), **slow)
        with running(start("dice-roller", **at(dice), **slow)) as (roller,):
            held &= limited("frontend, 2,000 slow rolls", "frontend", slow_rolls, **at(dice), **at(roller))
    for title, make in crowds.items():
        def crowd(program, make=make):
            connections = make(program)
            answer = once(program, "/dice")
            for one in connections:
                one.close()
            return answer == "200", f"{len(connections)} connections, /dice meanwhile {answer}"

        held &= limited(f"die-service, {title}", "die-service", crowd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return held


# --- signals ---------------------------------------------------------------------------------------------------------


def disturbed(services, name, fault, allowed, within):
    """Traffic on the frontend, before, during and after `fault(program)`, which returns when it is over."""
    descriptors = {other: services[other].descriptors() for other in services}
    with Traffic(services["frontend"].port, [ROLL, BATCH, "/dice"], pause=0.005) as traffic:
        time.sleep(2)  # the traffic before
        begun = time.monotonic()
        what = fault()
        ended = time.monotonic()
        time.sleep(within + 2)  # and after it
    failed = [call for call in traffic.calls if call.answer != "200"]
    last = max((call.begun + call.seconds for call in failed), default=ended) - ended
    early = [call for call in failed if call.begun + call.seconds < begun]
    lists = [call for call in failed if call.path == "/dice"]
    held = verdict(f"{name} {what}", answers_of(traffic.calls) <= allowed | {"200"} and last <= within and not early and (name == "frontend" or not lists),
                   f"{told(traffic.calls)}; last failure {max(last, 0):.2f} s after its end, {len(lists)} of /dice")
    more = {other: services[other].descriptors() - number for other, number in descriptors.items() if other != name}
    return held & verdict(f"{name} {what}: the others", max(more.values()) <= 24 and all(one.process.poll() is None for one in services.values()),
                          f"descriptors {', '.join(f'{other} {number:+d}' for other, number in more.items())}")


def signals():
    print("signals: SIGKILL and restart after 1 s, SIGSTOP for 10 s, under 8 clients of the frontend", flush=True)
    held = True
    variables = {"ROLL_DELAY_MAX_SECONDS": "0.2", "DIE_SERVICE_TIMEOUT_SECONDS": "1", "DIE_BREAKER_PAUSE_SECONDS": "1", "ROLL_TIMEOUT_SECONDS": "3",
                 "ROLL_ASYNC_TIMEOUT_SECONDS": "3"}
    broken = {"ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "BadStatusLine", "IncompleteRead", "BrokenPipeError"}
    away = {"die-service": {"502 downstream_unavailable", "503 circuit_open"}, "dice-roller": {"502 downstream_unavailable"}, "frontend": broken}
    slow = {"die-service": {"504 downstream_timeout", "503 circuit_open", "502 downstream_unavailable"},
            "dice-roller": {"504 downstream_timeout", "502 downstream_unavailable"}, "frontend": {"504 downstream_timeout"}}
    with system(**variables) as services:
        for name in NAMES:
            def kill():
                old = services[name]
                old.process.kill()
                old.process.wait()
                time.sleep(1)  # how long it is away
                ports = {"PORT": str(old.port), "METRICS_PORT": str(old.metrics_port)}
                others = {key: value for other in services.values() if other is not old for key, value in at(other).items()}
                services[name] = start(name, **{**variables, **others, **ports})
                return "killed"

            def stop():
                services[name].process.send_signal(signal.SIGSTOP)
                time.sleep(10)  # how long it is stopped
                services[name].process.send_signal(signal.SIGCONT)
                return "stopped"

            held &= disturbed(services, name, kill, away[name], 1 + SLACK_SECONDS)
            held &= disturbed(services, name, stop, slow[name], 1 + SLACK_SECONDS)
    return held


# --- mixed traffic ---------------------------------------------------------------------------------------------------

#: Largest slope per hour that passes even if it is more than noise: kept connections and idle threads come and go. A leak in one of
#: a thousand requests is hundreds per hour.
BOUNDS = {"MiB": 4, "threads": 12, "descriptors": 12, "p99 ms": 50}


def slope(points):
    """Least squares: (slope per hour, its standard error) of (seconds, value)."""
    times, values = zip(*points)
    middle, mean = statistics.fmean(times), statistics.fmean(values)
    spread = sum((at - middle) ** 2 for at in times)
    rise = sum((at - middle) * (value - mean) for at, value in points) / spread
    rest = sum((value - mean - rise * (at - middle)) ** 2 for at, value in points)
    return rise * 3600, math.sqrt(rest / max(len(points) - 2, 1) / spread) * 3600


def leave(port, stop):
    """A client that does not wait for its answers."""
    while not stop.wait(0.02):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"GET {random.choice((ROLL, BATCH, '/dice'))} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def read_back(services, traffic, stop):
    """Reads traces and log lines on the frontend, and scrapes all."""
    while not stop.wait(0.5):
        with contextlib.suppress(OSError, IndexError, TypeError):  # no trace yet
            for signal_of in ("traces", "logs"):
                urllib.request.urlopen(f"{services['frontend'].url}/api/{signal_of}/{traffic.calls[-1].trace[0]}", timeout=20).read()
        for program in services.values():
            request = urllib.request.Request(program.metrics_url + "/metrics", headers={"Accept": "application/openmetrics-text"})
            urllib.request.urlopen(request, timeout=20).read()


def mixed():
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    print(f"mixed: {minutes:.0f} minutes of everything at once; the first fifth fills the memories and does not count", flush=True)
    paths = [ROLL, BATCH, "/dice", "/roll?die=risky", "/roll-async?die=risky&times=20&strategy=best-effort", "/roll-async?die=fair&times=10&strategy=first-success",
             "/roll?die=none", "/roll-async?die=fair&times=99", "/nowhere", "/app.js", "/version"]
    expected = {"200", "500 roll_failed", "500 batch_failed", "404 die_not_found", "400 invalid_parameter", "404 not_found"}
    sink_port = free_port()
    sink = subprocess.Popen([BIN / "bench-sink", str(sink_port)])
    small = {"TRACE_MEMORY_BYTES": "2097152", "LOG_MEMORY_BYTES": "1048576", "OTEL_TRACES_EXPORTER": "otlp", "LOG_LEVEL": "info",
             "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink_port}", "ROLL_DELAY_MAX_SECONDS": "0.05"}
    samples, stop = collections.defaultdict(list), threading.Event()
    with system(lambda name: shell(">/dev/null"), **small) as services:
        with Traffic(services["frontend"].port, paths, pause=0.01) as traffic:
            more = [threading.Thread(target=leave, args=(services["frontend"].port, stop), daemon=True),
                    threading.Thread(target=read_back, args=(services, traffic, stop), daemon=True)]
            for thread in more:
                thread.start()
            begun, seen = time.monotonic(), 0
            interval = min(10, minutes * 60 / 50)
            while (now := time.monotonic() - begun) < minutes * 60:
                time.sleep(interval)
                recent, seen = traffic.calls[seen:], len(traffic.calls)
                samples["frontend", "p99 ms"].append((now, percentile([call.seconds for call in recent], 0.99) * 1e3))
                for name, program in services.items():
                    status = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
                    samples[name, "MiB"].append((now, program.resident() / MIB))
                    samples[name, "threads"].append((now, int(re.search(r"Threads:\s+(\d+)", status)[1])))
                    samples[name, "descriptors"].append((now, program.descriptors()))
            stop.set()
            for thread in more:
                thread.join()
    sink.terminate()
    sink.wait()
    held = verdict("answers", answers_of(traffic.calls) <= expected, told(traffic.calls))
    for (name, unit), points in samples.items():
        points = points[len(points) // 5:]
        rise, error = slope(points)
        values = [value for _, value in points]
        held &= verdict(f"{name}, {unit}", rise <= max(2 * error, BOUNDS[unit]),
                        f"{rise:+.2f} ± {error:.2f} per hour, {min(values):.1f} to {max(values):.1f} in {len(values)} samples")
    return held
