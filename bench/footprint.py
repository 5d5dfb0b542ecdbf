"""Sizes, times to start, and memory."""

import shutil
import statistics
import subprocess
import time

from client import Client
from program import DICE_ROLLER, DIE_SERVICE, FRONTEND, Program
from report import table

IN_FLIGHT = 2000
MOST_AT_REST, MOST_IN_FLIGHT, MOST_PER_ROLL = 17e6, 64e6, 24 << 10


def image_sizes():
    """{name: size as docker prints it}"""
    if not shutil.which("docker"):
        return {}
    listed = subprocess.run(["docker", "images", "--format", "{{.Repository}} {{.Size}}", "--filter", "reference=dice/*"],
                            capture_output=True, text=True).stdout
    return dict(line.removeprefix("dice/").split(maxsplit=1) for line in listed.splitlines())


def started(folder, name, env):
    """(program, seconds from its start until it was ready)"""
    start = time.perf_counter()
    program = Program(folder, name, env)
    return program, time.perf_counter() - start


def in_flight(folder, dice, path, requests):
    """Memory of dice-roller at rest and with many rolls in flight, in bytes."""
    roller = Program(folder, DICE_ROLLER, {"DIE_SERVICE_URL": dice.url, "MAX_ROLL_THREADS": str(IN_FLIGHT), "MAX_REQUESTS": "4096",
                                           "ROLL_DELAY_MIN_SECONDS": "60", "ROLL_DELAY_MAX_SECONDS": "60"})
    rest, client = roller.resident(), Client(roller.port)
    for _ in range(requests):
        client.send(path)
    # Each roll has a thread.
    roller.wait_for(lambda: roller.metric("process_threads") >= IN_FLIGHT, f"{IN_FLIGHT} rolls in flight")
    level, last = roller.resident(), 0
    while level > last:  # until the last threads have touched their stacks
        time.sleep(0.5)
        last, level = level, roller.resident()
    client.close()
    roller.stop()
    return rest, level


def footprint(folder, quick):
    results, verdicts, images = {}, [], image_sizes()
    dice = Program(folder, DIE_SERVICE, {})
    urls = {"DIE_SERVICE_URL": dice.url, "DICE_ROLLER_URL": dice.url}
    for name in (FRONTEND, DICE_ROLLER, DIE_SERVICE):
        starts, rest = [], 0
        for _ in range(1 if quick else 5):
            program, seconds = started(folder, name, urls)
            starts.append(seconds)
            rest = max(rest, program.resident())
            program.stop()
        results[name] = {"image": images.get(name, "-"), "program_bytes": (folder / name).stat().st_size,
                         "start_milliseconds": statistics.median(starts) * 1e3, "rest_bytes": rest}
        verdicts.append((f"{name} at rest ≤ {MOST_AT_REST / 1e6:.0f} MB", rest <= MOST_AT_REST, f"{rest / 1e6:.1f} MB"))
    lines = ["footprint: image, program with its symbols, time from start to ready (median of 5), memory at rest"]
    lines += table(["", "image", "program MB", "start ms", "rest MB"],
                   [[name, one["image"], f"{one['program_bytes'] / 1e6:.1f}", f"{one['start_milliseconds']:.0f}",
                     f"{one['rest_bytes'] / 1e6:.1f}"] for name, one in results.items()])
    if not images:
        lines.append("  no images: they are not built, or there is no docker")
    for title, path, requests in (("as single rolls", "/roll?die=fair", IN_FLIGHT),
                                  ("in batches of 20", "/roll-async?die=fair&times=20", IN_FLIGHT // 20)):
        rest, level = in_flight(folder, dice, path, requests)
        per_roll = (level - rest) / IN_FLIGHT
        results[title] = {"bytes": level, "bytes_per_roll": per_roll}
        lines.append(f"  {IN_FLIGHT} rolls in flight {title}: {level / 1e6:.1f} MB, {per_roll / 1024:.1f} KiB per roll above rest")
        verdicts += [(f"{IN_FLIGHT} in flight {title} ≤ {MOST_IN_FLIGHT / 1e6:.0f} MB", level <= MOST_IN_FLIGHT, f"{level / 1e6:.1f} MB"),
                     (f"per roll {title} ≤ {MOST_PER_ROLL >> 10} KiB", per_roll <= MOST_PER_ROLL, f"{per_roll / 1024:.1f} KiB")]
    dice.stop()
    return results, lines, verdicts
