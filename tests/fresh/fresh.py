#!/usr/bin/env python3
"""make test-fresh: the README's first commands, each as the first command on a fresh Debian system.

usage: fresh.py [bookworm|trixie ...]
Requires docker and the images debian:bookworm-slim and debian:trixie-slim. If docker is not reachable, it says so and exits with
0. It tests the checked-out commit. Go's caches are shared with this machine; everything else is installed from scratch.
CA_BUNDLE: a file with additional CA certificates, for networks that use their own.
"""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASES = ("bookworm", "trixie")
MAX_SKIPPED = 15
MINUTE = 60


class Failed(Exception):
    """A message that says what failed."""


def readme_commands():
    """The commands in the README's first shell block."""
    block = re.search(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S).group(1)
    commands = [line.partition("#")[0].strip() for line in block.splitlines()]
    for wanted in ("make run", "make verify", "make test"):
        if wanted not in commands:
            raise Failed(f"the README's first commands are {commands}; this tests '{wanted}', which is not among them")
    return commands


def readme_prerequisites():
    """The command that installs what the README requires."""
    return re.search(r"needs\s+`(apt-get install [^`]*)` first", (ROOT / "README.md").read_text()).group(1)


def readme_calls():
    """The requests in the README's console blocks."""
    return re.findall(r"^\$ curl -s '?(localhost:[^\s|']+)", (ROOT / "README.md").read_text(), re.M)


def docker(*arguments, check=True):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Failed(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done


class Machine:
    """A fresh Debian container with the packages that the README requires and a clone, removed at the end of `with`."""

    def __init__(self, release):
        self.release = release

    def __enter__(self):
        mounts = ["-v", f"{ROOT}:/checkout:ro"]
        bundle = os.environ.get("CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        if os.path.exists(bundle):
            # Not in the folder that Debian's package uses.
            mounts += ["-v", f"{os.path.realpath(bundle)}:/host-ca.crt:ro", "-e", "PIP_CERT=/host-ca.crt", "-e", "SSL_CERT_FILE=/host-ca.crt"]
        if go := shutil.which("go") or shutil.which("/usr/local/go/bin/go"):
            for variable in ("GOMODCACHE", "GOCACHE"):
                folder = subprocess.run([go, "env", variable], capture_output=True, text=True, check=True).stdout.strip()
                os.makedirs(folder, exist_ok=True)
                mounts += ["-v", f"{folder}:/go/{variable}", "-e", f"{variable}=/go/{variable}"]
        for variable in ("http_proxy", "https_proxy", "no_proxy", "GOPROXY", "GOFLAGS", "PIP_INDEX_URL"):
            if variable in os.environ:
                mounts += ["-e", variable]
        self.name = docker("run", "--detach", "--init", *mounts, f"debian:{self.release}-slim", "sleep", "infinity").stdout.strip()
        try:
            self.run("apt-get update && DEBIAN_FRONTEND=noninteractive " + readme_prerequisites().replace("install", "install -y"))
            # The checkout may belong to another user and be shallow.
            self.run("git config --global --add safe.directory '*' && git clone --quiet /checkout /dice")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        docker("rm", "--force", "--volumes", self.name, check=False)

    def run(self, command, folder="/"):
        return docker("exec", "--workdir", folder, self.name, "sh", "-c", command).stdout


class Terminal:
    """A command in a machine's terminal. Its output is shown, and stored in `text`."""

    def __init__(self, machine, command):
        self.text = ""
        self.started = time.monotonic()
        self._label = machine.release
        self._command = command
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            os.execvp("docker", ["docker", "exec", "-it", "--workdir", "/dice", machine.name, *command.split()])
        print(f"{self._label} $ {command}", flush=True)

    @property
    def seconds(self):
        return time.monotonic() - self.started

    def _read(self, deadline, what):
        """False at the end of the output."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            raise Failed(f"'{self._command}' on {self._label}: no {what} after {self.seconds:.0f} s; it said:\n{self.text[-3000:]}")
        try:
            new = os.read(self._descriptor, 65536).decode(errors="replace")
        except OSError:
            return False
        self.text += new
        return bool(new)

    def wait_for(self, pattern, seconds):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            if not self._read(deadline, f"'{pattern}'"):
                raise Failed(f"'{self._command}' on {self._label} ended before '{pattern}'; it said:\n{self.text[-3000:]}")

    def type(self, text):
        os.write(self._descriptor, text.encode())

    def wait(self, seconds):
        """Waits for the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline, "end"):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def without_progress(text):
    """The final content of the screen, with overwritten lines resolved."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line.rstrip("\r").rpartition("\r")[2]).replace("\x1b[K", "") for line in text.split("\n")]
    return "\n".join(lines)


def expect(condition, words):
    if not condition:
        raise Failed(words)


def run_and_verify(release):
    with Machine(release) as machine:
        run = Terminal(machine, "make run")
        run.wait_for(r"\[?\d+/\d+ ", 10 * MINUTE)
        building = run.seconds
        run.wait_for("The page is at http://[^ ]*/", 10 * MINUTE)
        print(f"{release}: packages {building:.0f} s, building {run.seconds - building:.0f} s, then the page", flush=True)
        for url in ("localhost:8400/", *readme_calls()):
            path = re.sub("[0-9a-f]{32}", lambda _: trace_id, url)
            answer = machine.run(f"python3 -c \"import sys, urllib.request; sys.stdout.write(urllib.request.urlopen('http://{path}').read().decode())\"")
            expect(answer, f"{url} answered nothing")
            if "roll-async" in url:
                trace_id = json.loads(answer)["trace_id"]
        verify = Terminal(machine, "make verify")
        code = verify.wait(10 * MINUTE)
        expect(code == 0 and "All passed" in verify.text, f"make verify on {release}: exit code {code}:\n{verify.text[-3000:]}")
        rebuilt = re.findall(r"\d+/\d+ ((?:connection|listener|roller|frontend)\S*)", verify.text)
        expect(not rebuilt, f"make verify built again what make run had built: {rebuilt}")
        print(f"{release}: make verify {verify.seconds:.0f} s, all passed", flush=True)

        # Log lines of earlier requests may not have reached the terminal yet.
        before = len(run.text)
        run.type("\x03")
        code = run.wait(MINUTE)
        said = [line for line in without_progress(run.text[before:].replace("^C", "")).split("\n") if line.strip()]
        words = [line for line in said if not line.startswith("make") and not re.match(r"\d\d:\d\d:\d\d", line)]
        expect(code in (2, 130), f"after Ctrl-C make run on {release} ended with {code}")
        expect(not words, f"after Ctrl-C make run on {release} said: {words}")
        left = machine.run("grep -lsE '^(frontend|dice-roller|die-service|python3|make)$' /proc/[0-9]*/comm || true")
        expect(not left, f"after Ctrl-C on {release} there are processes: {left}")
        print(f"{release}: Ctrl-C ended all three", flush=True)


def test(release):
    with Machine(release) as machine:
        terminal = Terminal(machine, "make test")
        code = terminal.wait(25 * MINUTE)
        expect(code == 0, f"make test on {release}: exit code {code}:\n{terminal.text[-6000:]}")
        text = without_progress(terminal.text)
        passed = re.search(r"(\d+) passed(?:, (\d+) skipped)?.* in ", text)
        expect(passed, f"make test on {release} printed no summary:\n{text[-3000:]}")
        skips = re.findall(r"SKIPPED \[(\d+)\] [^:]*:\d+: (.*)", text)
        for _, reason in skips:
            print(f"{release}: skipped: {reason.strip()}")
            expect(re.search("cluster|stack", reason), f"skipped on {release}, though no test of a cluster or the stack: {reason}")
        expect(int(passed[2] or 0) <= MAX_SKIPPED, f"{passed[2]} tests skipped on {release}; at most {MAX_SKIPPED} may be")
        print(f"{release}: make test {terminal.seconds:.0f} s, {passed[0]}", flush=True)


def main():
    releases = sys.argv[1:] or RELEASES
    if unknown := set(releases) - set(RELEASES):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(RELEASES)}")
    if not shutil.which("docker") or docker("info", check=False).returncode != 0:
        print("make test-fresh: skipped, docker is not reachable")
        return
    try:
        readme_commands()
        for release in releases:
            run_and_verify(release)
            test(release)
    except Failed as failure:
        sys.exit(f"make test-fresh: {failure}")


if __name__ == "__main__":
    main()
