#!/usr/bin/env python3
"""The benchmarks of docs/benchmarks.md. Prints figures and whether they meet the targets.

usage: bench/run.py BIN [throughput|fan-out|capacity|footprint ...]     (BIN: folder of the programs)

A run of all of them also writes build/bench.json, and its results and picture into the document. BEFORE=BIN adds the programs of an
earlier commit to throughput, measured in the same run. QUICK=1 takes seconds instead of minutes, writes nothing, and says only
that everything works. Exit code 1: a target is missed; 3: the machine was busy.
"""

import os
import pathlib
import sys
import time

from capacity import capacity
from fanout import fan_out
from footprint import footprint
from picture import draw
from report import Watch, judged, machine, publish
from throughput import throughput

# Each returns (figures, lines to print, [(target, met, text)]).
MEASUREMENTS = {"throughput": throughput, "fan-out": fan_out, "capacity": capacity, "footprint": footprint}


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= MEASUREMENTS.keys():
        sys.exit(__doc__)
    folder, quick = pathlib.Path(sys.argv[1]).resolve(), bool(os.environ.get("QUICK"))
    lines, results, missed = [], {"machine": machine(), "disturbances": {}}, 0

    def say(line):
        print(line, flush=True)
        lines.append(line)

    say(results["machine"])
    start = time.monotonic()
    for name in sys.argv[2:] or MEASUREMENTS:
        watch = Watch()
        figures, shown, verdicts = MEASUREMENTS[name](folder, quick)
        disturbance = watch.disturbance()
        results[name] = figures
        for line in shown:
            say(line)
        if disturbance:
            results["disturbances"][name] = disturbance
            say(f"  NOT COMPARABLE: {disturbance}")
        for target, met, text in verdicts:
            say(f"  not judged: {target}: {text}" if disturbance else judged(target, met, text))
            missed += not met and not disturbance
    say(f"{time.monotonic() - start:.0f} s, {missed} targets missed, {len(results['disturbances'])} measurements disturbed")
    if MEASUREMENTS.keys() <= results.keys() and not quick:
        publish(lines, results, draw(results))
    sys.exit(1 if missed else 3 if results["disturbances"] else 0)


if __name__ == "__main__":
    main()
