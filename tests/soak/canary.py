#!/usr/bin/env python3
"""Does the canary's memory stay bounded? Runs `loadgen verify --every` against the three programs on free ports, one check right
after the other. In the middle, the frontend is away for a tenth of the checks.

usage: tests/soak/canary.py BIN [CHECKS]     (BIN: folder of the programs; CHECKS: default 2880, a day at one every 30 s)
"""

import itertools
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import run  # noqa: E402

#: Of the resident memory; the second is from one tenth of the checks to the end.
MAX_BYTES = 24 << 20
MAX_GROWTH = 2 << 20


def resident(process):
    """Bytes of memory: now, and at most until now."""
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return [int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) << 10 for name in ("VmRSS", "VmHWM")]


def results(process):
    """The results of the checks; those that were discarded do not count."""
    for text in process.stdout:
        line = json.loads(text)
        if line["message"] == "Telemetry check":
            yield line["result"]


def passed(found, checks):
    """Takes as many results."""
    for result in itertools.islice(found, checks):
        assert result == "passed", result


def measure(folder, logs, checks):
    system = run.System(folder, logs, free_ports=True)
    system.start({"all": {"OTEL_TRACES_EXPORTER": "none"}, "dice-roller": {"ROLL_DELAY_MAX_SECONDS": "0"}})
    away = max(1, checks // 10)
    try:
        canary = subprocess.Popen([folder / "loadgen", "verify", "--url", system.url("frontend"), "--logs", logs, "--metrics",
                                   ",".join(system.metrics_urls.values()), "--every", "0.001", "--deadline", "5", "--metrics-port", "0"],
                                  stdout=subprocess.PIPE, text=True)
        started = time.monotonic()
        found = results(canary)
        passed(found, away)
        early, _ = resident(canary)
        passed(found, checks // 2 - away)
        system.stop_one("frontend")
        missed = sum(result == "unreachable" for result in itertools.islice(found, away))
        system.start_one("frontend")
        next(result for result in found if result == "passed")
        passed(found, checks - checks // 2 - away)
        late, most = resident(canary)
        seconds = time.monotonic() - started
        canary.send_signal(signal.SIGTERM)
        code = canary.wait(10)
    finally:
        system.stop()
    print(f"{checks} checks in {seconds:.0f} s: {early / (1 << 20):.1f} MiB after {away}, {late / (1 << 20):.1f} MiB at the end, "
          f"at most {most / (1 << 20):.1f} MiB; {missed} unreachable while the frontend was away")
    assert code == 0, code
    assert late <= MAX_BYTES and late - early <= MAX_GROWTH
    assert missed


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="canary-") as logs:
        measure(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(logs), int(sys.argv[2]) if len(sys.argv) == 3 else 2880)


if __name__ == "__main__":
    main()
