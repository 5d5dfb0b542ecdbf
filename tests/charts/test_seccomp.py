"""The programs need no system call that is not in the chart's seccomp profile."""

import ctypes
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from conftest import BIN, CHART, ROOT, render

sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402
import run  # noqa: E402

import confined  # noqa: E402

PROFILE = json.loads((CHART / "seccomp.json").read_text())


class Collector(http.server.BaseHTTPRequestHandler):
    """Accepts all spans."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def programs(folder, profile):
    """A folder with programs that run under the profile."""
    try:
        ctypes.CDLL(confined.LIBRARY)
    except OSError as error:
        pytest.skip(str(error))
    (folder / "profile.json").write_text(json.dumps(profile))
    for name in (*contract.services(BIN), "loadgen"):
        (folder / name).write_text(f'#!/bin/sh\nexec /usr/bin/python3 {confined.__file__} {folder}/profile.json {BIN.resolve()}/{name} "$@"\n')
        (folder / name).chmod(0o755)
    (folder / "contract-json").symlink_to(BIN.resolve() / "contract-json")
    return folder


def test_programs_run_under_the_profile(tmp_path):
    folder = programs(tmp_path, PROFILE)
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    system = run.System(folder, tmp_path / "logs", free_ports=True)
    system.start({"all": {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{collector.server_port}",
                          "OTEL_BSP_SCHEDULE_DELAY": 100, "ROLL_DELAY_MAX_SECONDS": 0.05}})

    def loadgen(*arguments):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LOADGEN_"))}
        done = subprocess.run([folder / "loadgen", *arguments, "--url", system.page], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        loadgen("traffic", "--rolls", "2", "--think-max", "0.1", "--async", "1")
        loadgen("verify", "--logs", str(tmp_path / "logs"), "--metrics", ",".join(system.metrics_urls.values()), "--export", "required",
                "--junit", str(tmp_path / "report.xml"))
        loadgen("compare", "--iterations", "1")
    finally:
        codes = system.stop()
        collector.shutdown()
        collector.server_close()
    assert codes == dict.fromkeys(contract.services(BIN), 0)


@pytest.mark.parametrize("call", ["accept4", "epoll_ctl", "futex", "rt_sigtimedwait"])
def test_system_call_that_is_not_in_the_profile_is_seen(tmp_path, call):
    less = {**PROFILE, "syscalls": [{**entry, "names": [name for name in entry["names"] if name != call]} for entry in PROFILE["syscalls"]]}
    with pytest.raises(run.Failure, match="SIGSYS"):
        run.System(programs(tmp_path, less), tmp_path / "logs", free_ports=True).start()


def test_system_calls_that_are_not_in_the_profile_fail_as_if_the_kernel_had_none():
    """So that libraries use their fallback for one that is newer than the profile."""
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO" and PROFILE["defaultErrnoRet"] == 38
    assert {entry["action"] for entry in PROFILE["syscalls"]} == {"SCMP_ACT_ALLOW"}
    names = [name for entry in PROFILE["syscalls"] for name in entry["names"]]
    assert len(names) == len(set(names)) and not {"ptrace", "mount", "setuid", "bpf", "kill", "unlink", "chmod", "init_module"} & set(names)


def test_profile_can_be_chosen():
    pods = list(render("podSecurityContext.seccompProfile.type=Localhost", "podSecurityContext.seccompProfile.localhostProfile=dice.json",
                       "canary.enabled=true", "loadgen.job.enabled=true", "loadgen.cronjob.enabled=true").pods())
    assert len(pods) == 7
    for owner, _, spec in pods:
        assert spec["securityContext"]["seccompProfile"] == {"type": "Localhost", "localhostProfile": "dice.json"}, owner
