#!/usr/bin/env python3
"""Runs die-service, dice-roller and frontend on this machine, and stops them together."""

import argparse
import collections
import errno
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import contract

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY_SECONDS = 15
STOP_SECONDS = 45  # more than SHUTDOWN_GRACE_SECONDS


class Failure(Exception):
    """An error with a message for the user."""


class Process:
    """One running service. `ports` is (port, metrics port), known once it has logged that it is listening."""

    def __init__(self, name, program, env, log_path, on_line, on_exit):
        self.name = name
        self.ports = None
        self.last_lines = collections.deque(maxlen=15)
        self.listening = threading.Event()
        try:
            # A separate session, so that the terminal's Ctrl-C reaches only the runner.
            self._popen = subprocess.Popen([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            raise Failure(f"{name} cannot be started: {program}: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, args=(log_path, on_line, on_exit), daemon=True)
        self._reader.start()

    def _read(self, log_path, on_line, on_exit):
        with log_path.open("ab") as log:
            for raw in self._popen.stdout:
                log.write(raw)
                log.flush()
                line = raw.decode(errors="replace").rstrip("\n")
                self.last_lines.append(line)
                record = parse(line)
                if record and "metrics_port" in record and not self.ports:
                    self.ports = (record.get("port"), record["metrics_port"])
                    self.listening.set()
                if on_line:
                    on_line(self.name, line, record)
        self._popen.wait()
        self.listening.set()
        if on_exit:
            on_exit(self)

    @property
    def exit_code(self):
        return self._popen.poll()

    def signal(self, number):
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:
            pass

    def wait(self, seconds):
        """True when it ended within `seconds`."""
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(1)
        return True


class System:
    """The three services on this machine.

    `bin_dir` contains the programs; the output of each service is written to <service>.log in `log_dir`. With `free_ports`,
    each start uses free ports; a restarted service keeps its ports, so that the others still find it. `on_line(name, text,
    record or None)` and `on_exit(process)` are called from reader threads. Not thread-safe otherwise.
    """

    def __init__(self, bin_dir, log_dir, free_ports=False, on_line=None, on_exit=None):
        self.bin_dir = pathlib.Path(bin_dir)
        self.log_dir = pathlib.Path(log_dir)
        self.free_ports = free_ports
        self._on_line = on_line
        self._on_exit = on_exit
        self._env = {}
        self._ports = {}
        self._names = []  # in start order: each needs those before it
        self._processes = {}
        self._interrupted = threading.Event()
        self._impatient = threading.Event()

    def url(self, name):
        return f"http://127.0.0.1:{self._ports[name][0]}"

    def metrics_url(self, name):
        return f"http://127.0.0.1:{self._ports[name][1]}"

    @property
    def page(self):
        """Of the service that calls the others."""
        return self.url(self._names[-1])

    @property
    def urls(self):
        return {name: self.url(name) for name in self._names if name in self._ports}

    @property
    def metrics_urls(self):
        return {name: self.metrics_url(name) for name in self._names if name in self._ports}

    def start(self, env=None):
        """Starts all three and waits until they are ready. `env` is {service or "all": {variable: value}}."""
        self._env = env or {}
        self._read_contract()
        self.log_dir.mkdir(parents=True, exist_ok=True)
        if not self.free_ports:
            self._check_ports()
        try:
            for name in self._names:
                (self.log_dir / f"{name}.log").unlink(missing_ok=True)
                self._launch(name)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def running(self, name):
        return name in self._processes

    def stop(self):
        """Stops all services, the frontend first, so that requests in flight can finish. Returns {service: exit code}."""
        return {name: self.stop_one(name) for name in reversed(self._names) if name in self._processes}

    def stop_one(self, name):
        process = self._processes.pop(name)
        process.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while not process.wait(0.1):
            if self._impatient.is_set() or time.monotonic() > deadline:
                process.signal(signal.SIGKILL)
                process.wait(STOP_SECONDS)
        return process.exit_code

    def start_one(self, name, env=None):
        """Starts one service again, on the same ports. `env` is added to the environment given to `start`."""
        if name in self._processes:
            raise Failure(f"{name} is already running")
        self._launch(name, env)

    def restart(self, name, env=None):
        self.stop_one(name)
        self.start_one(name, env)
        self.wait_ready()

    def interrupt(self):
        """Aborts a start; if called again, makes a stop kill the services. Safe to call from a signal handler."""
        if self._interrupted.is_set():
            self._impatient.set()
        self._interrupted.set()

    def wait_ready(self, seconds=READY_SECONDS):
        deadline = time.monotonic() + seconds
        for name in self._names:
            process = self._processes[name]
            while (answer := self._readiness(name)) != "200":
                self._check_alive(process)
                if time.monotonic() > deadline:
                    raise Failure(f"{name} is not ready after {seconds} s (/readyz: {answer})" + tail(process))
                self._interrupted.wait(0.05)

    def _read_contract(self):
        try:
            services = list(reversed(contract.read(self.bin_dir)["services"]))
        except (OSError, subprocess.SubprocessError, ValueError):
            services = []
        missing = [self.bin_dir / one["name"] for one in services if not os.access(self.bin_dir / one["name"], os.X_OK)]
        if missing or not services:
            program = missing[0] if missing else self.bin_dir / "contract-json"
            raise Failure(f"no program {program}; build it first (make build) or name its folder with --bin")
        self._names = [one["name"] for one in services]
        if not self.free_ports:
            self._ports = {one["name"]: (one["port"], one["metrics_port"]) for one in services}

    def _check_ports(self):
        for name in reversed(self._names):
            for port, variable in zip(self._wanted_ports(name), ("PORT", "METRICS_PORT")):
                if not port:
                    continue
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        probe.bind(("", port))
                    except OSError as error:
                        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
                        raise Failure(f"port {port} {reason} ({name}, {variable}); "
                                      "stop the program that uses it, or use free ports with --ports free") from None

    def _wanted_ports(self, name):
        given = {**self._env.get("all", {}), **self._env.get(name, {})}
        default = self._ports.get(name, (0, 0))
        try:
            return int(given.get("PORT", default[0])), int(given.get("METRICS_PORT", default[1]))
        except ValueError:
            raise Failure(f"PORT and METRICS_PORT of {name} must be numbers") from None

    def _launch(self, name, extra=None):
        port, metrics_port = self._wanted_ports(name)
        env = {"SHUTDOWN_DELAY_SECONDS": "0", "DIE_SPECIFICATIONS": str(ROOT / "services/die-service/dice.yaml"),
               **os.environ, "PORT": str(port), "METRICS_PORT": str(metrics_port)}
        for other in self._names[:self._names.index(name)]:
            variable = other.upper().replace("-", "_")
            env[f"{variable}_URL"] = self.url(other)
            env[f"{variable}_METRICS_URL"] = self.metrics_url(other)
        for more in (self._env.get("all"), self._env.get(name), extra):
            env.update({key: str(value) for key, value in (more or {}).items() if key not in ("PORT", "METRICS_PORT")})
        process = Process(name, self.bin_dir / name, env, self.log_dir / f"{name}.log", self._on_line, self._on_exit)
        self._processes[name] = process
        deadline = time.monotonic() + READY_SECONDS
        while not process.listening.wait(0.1):
            if self._interrupted.is_set():
                raise Failure("stopped while starting")
            if time.monotonic() > deadline:
                raise Failure(f"{name} is not listening after {READY_SECONDS} s" + tail(process))
        if not process.ports:
            self._check_alive(process)
            raise Failure(f"{name} closed its log without listening" + tail(process))
        if not all(isinstance(port, int) for port in process.ports):
            raise Failure(f"{name} did not log the ports it listens on" + tail(process))
        self._ports[name] = process.ports

    def _check_alive(self, process):
        if self._interrupted.is_set():
            raise Failure("stopped while starting")
        if process.exit_code is not None:
            raise Failure(f"{process.name} exited with {ending(process.exit_code)} before it was ready" + tail(process))

    def _readiness(self, name):
        try:
            with urllib.request.urlopen(self.url(name) + "/readyz", timeout=2) as answer:
                return str(answer.status)
        except urllib.error.HTTPError as error:
            return str(error.code)
        except OSError as error:
            return str(error)


def ending(code):
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def tail(process):
    return "".join(f"\n  {process.name} | {line}" for line in process.last_lines)


def parse(line):
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


class Printer:
    """Log records as one readable line each, coloured on a terminal."""

    COLOURS = ("32", "33", "34")  # of the services, as they come
    LEVELS = {"WARN": "33", "WARNING": "33", "ERROR": "31", "FATAL": "31", "CRITICAL": "31"}

    def __init__(self, out):
        self._out = out
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._services = []

    def line(self, name, text, record):
        if record is None:
            return self.write(f"{'':15} {self._name(name)} {printable(text)}")
        fields = {key: value for key, value in record.items()
                  if key not in ("timestamp", "level", "message", "logger", "service", "span_id")}
        level = str(record.get("level", "")).upper()
        self.write(" ".join([
            printable(str(record.get("timestamp", "")))[11:23], self._paint(self.LEVELS.get(level, "2"), f"{level:5.5}"),
            self._name(name), printable(str(record.get("message", ""))),
            *(self._paint("2", f"{printable(key)}={show(value)}") for key, value in fields.items())]))

    def _name(self, name):
        if name not in self._services:
            self._services.append(name)
        return self._paint(self.COLOURS[self._services.index(name) % len(self.COLOURS)], f"{name:11}")

    def write(self, text):
        with self._lock:
            try:
                print(text, file=self._out, flush=True)
            except BrokenPipeError:
                pass  # nobody reads our output any more; the services run until they are stopped

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self._colour else text


def show(value):
    if isinstance(value, str) and value and not any(c.isspace() or c in '="' for c in value):
        return printable(value)
    return printable(json.dumps(value, ensure_ascii=False))


def printable(text):
    """Escapes everything in a log line that could move the terminal's cursor."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def options(arguments):
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", metavar="DIR",
                        help="folder of the programs (default: build/release/bin)")
    parser.add_argument("--logs", type=pathlib.Path, default=ROOT / "build/run", metavar="DIR",
                        help="folder for the JSON log lines, one file per service (default: build/run)")
    parser.add_argument("--ports", choices=("fixed", "free"), default="fixed",
                        help="fixed: 8400-8402 and 9400-9402; free: any free ports (default: fixed)")
    parser.add_argument("--otlp", metavar="URL", help="send spans to this OTLP/HTTP endpoint, such as http://localhost:4318")
    return parser.parse_args(arguments)


def main(arguments=None):
    chosen = options(arguments)
    if chosen.otlp:
        traces = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": chosen.otlp}
    else:
        traces = {"OTEL_TRACES_EXPORTER": os.environ.get("OTEL_TRACES_EXPORTER", "none")}

    printer = Printer(sys.stdout)
    happened = queue.SimpleQueue()  # a signal's number, or a process that ended
    signals = []
    system = System(chosen.bin, chosen.logs, chosen.ports == "free", printer.line, happened.put)

    def on_signal(number, _frame):
        signals.append(number)
        system.interrupt()
        happened.put(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    try:
        system.start({"all": traces})
    except Failure as failure:
        if signals:
            return 0
        print(f"run.py: {failure}", file=sys.stderr)
        return 1
    printer.write(f"\n  The page is at {system.page}/   (Ctrl-C stops everything; logs in {chosen.logs})\n")

    event = happened.get()
    if isinstance(event, Process):
        print(f"run.py: {event.name} exited unexpectedly with {ending(event.exit_code)}; stopping the others", file=sys.stderr)
    failed = {name: code for name, code in system.stop().items() if code != 0}
    for name, code in failed.items():
        if not (isinstance(event, Process) and event.name == name):
            print(f"run.py: {name} did not stop cleanly: {ending(code)}", file=sys.stderr)
    return 1 if failed or isinstance(event, Process) else 0


if __name__ == "__main__":
    sys.exit(main())
