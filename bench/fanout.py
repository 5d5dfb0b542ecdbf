"""What a batch takes beyond its longest roll."""

import json
import statistics
import subprocess
import urllib.request

import contract
from client import Client
from program import DICE_ROLLER, DIE_SERVICE, Program, helper
from report import percentile, table

SPAN_PREFIX = contract.read()["roll_span_prefix"]
MOST_THREADS = 2048
# Rolls per batch, batches at once, waves of them. One wave before is not counted: it starts the threads.
SIZES = (1, 2, 3, 5, 10, 15, 20)
PLAN = [*((size, 1, 9) for size in SIZES), (100, 1, 7), (1000, 1, 7),
        *((size, 10, 2) for size in SIZES), (100, 10, 2), *((size, 100, 2) for size in SIZES)]


def longest_roll(roller, trace):
    """(seconds, rolls) from the spans of a batch."""
    document = json.load(urllib.request.urlopen(f"{roller.metrics_url}/debug/spans/{trace}"))
    rolls = [(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9
             for resource in document["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]
             if span["name"].startswith(SPAN_PREFIX)]
    return max(rolls), len(rolls)


def waves(roller, size, at_once, count):
    """[(wall time, longest roll)] of each batch, in seconds."""
    client, measured = Client(roller.port), []
    for number in range(count + 1):
        for _ in range(at_once):
            client.send(f"/roll-async?die=fair&times={size}")
        for reply in client.receive_all():
            assert reply.status == 200, reply.head
            longest, rolls = longest_roll(roller, reply.header("traceresponse").split("-")[1])
            assert rolls == size
            if number > 0:
                measured.append((reply.seconds, longest))
    client.close()
    return measured


def fan_out(folder, quick):
    sink, sink_port = helper(folder, "bench-sink")
    export = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink_port}"}
    dice = Program(folder, DIE_SERVICE, export)
    roller = Program(folder, DICE_ROLLER, {**export, "DIE_SERVICE_URL": dice.url, "MAX_ASYNC_ROLLS": "1000",
                                           "MAX_ROLL_THREADS": str(MOST_THREADS), "TRACE_MEMORY_BYTES_PER_TRACE": str(8 << 20),
                                           **({"ROLL_DELAY_MAX_SECONDS": "0.1"} if quick else {})})
    results = {}
    for size, at_once, count in PLAN:
        measured = waves(roller, size, at_once, 1 if quick else count)
        overheads = [wall - longest for wall, longest in measured]
        results[f"{size} rolls, {at_once} at once"] = {
            "rolls": size, "at_once": at_once, "batches": len(measured),
            "wall_to_longest": statistics.median(wall / longest for wall, longest in measured),
            "overhead_median_milliseconds": statistics.median(overheads) * 1e3,
            "overhead_p99_milliseconds": percentile(overheads, 0.99) * 1e3}
    roller.stop()
    dice.stop()
    sink.terminate()
    sink.wait()
    least = subprocess.run([folder / "bench-threads", "100", "20"], capture_output=True, text=True, check=True).stdout.split()
    results["threads alone"] = {"overhead_median_milliseconds": float(least[0]), "overhead_p99_milliseconds": float(least[1])}

    lines = [f"fan-out: batches compared with their longest roll; 0 to 1 s of work per roll, at most {MOST_THREADS} rolls at work"]
    lines += table(["rolls, batches at once", "batches", "wall ÷ longest", "overhead ms", "p99 ms"],
                   [[name, str(one["batches"]), f"{one['wall_to_longest']:.4f}", f"{one['overhead_median_milliseconds']:.2f}",
                     f"{one['overhead_p99_milliseconds']:.2f}"] for name, one in results.items() if "rolls" in one])
    lines.append(f"  threads alone, 20 rolls, 100 at once: overhead {least[0]} ms, p99 {least[1]} ms")
    verdicts = []
    for size, most in ((10, 1.005), (20, 1.005), (1000, 1.02)):
        ratio = results[f"{size} rolls, 1 at once"]["wall_to_longest"]
        verdicts.append((f"median wall ≤ {most} × longest, {size} rolls", ratio <= most, f"{ratio:.4f}"))
    p99 = results["20 rolls, 100 at once"]["overhead_p99_milliseconds"]
    verdicts.append(("p99 overhead ≤ 3 ms, 100 batches of 20 at once", p99 <= 3, f"{p99:.2f} ms"))
    return results, lines, verdicts
