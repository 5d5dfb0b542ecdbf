"""Load beyond what is admitted: how much work is accepted, and how fast the rest is refused."""

import http.client
import multiprocessing
import time

from client import Client
from program import DICE_ROLLER, DIE_SERVICE, Program
from report import percentile, table

DEFAULT_LIMIT = 1024  # MAX_ROLL_THREADS
ROLL_SECONDS, AT_WORK = 0.5, 200  # capacity: 400 rolls per second
FACTORS = (1, 2, 3, 4, 6, 8, 10)


def refused_well(reply):
    return reply.status == 503 and reply.header("Retry-After") is not None


def watch(targets, stop, out):
    """Asks for each (port, path) in turn, over new connections, until `stop`."""
    times = []
    while not stop.is_set():
        for port, path in targets:
            start = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", path)
            assert connection.getresponse().read() is not None
            connection.close()
            times.append(time.perf_counter() - start)
        time.sleep(0.005)  # the rate of the probes
    out.put(times)


class Probes:
    """A process that asks for health and metrics; `times` are its durations in seconds, once it has ended."""

    def __init__(self, program):
        self.stop, self.out = multiprocessing.Event(), multiprocessing.Queue()
        targets = [(program.port, "/healthz"), (program.metrics_port, "/healthz"), (program.metrics_port, "/metrics")]
        self.process = multiprocessing.Process(target=watch, args=(targets, self.stop, self.out))

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.times = self.out.get()
        self.process.join()


def roller_with(folder, dice, seconds, **settings):
    return Program(folder, DICE_ROLLER, {"DIE_SERVICE_URL": dice.url, "ROLL_DELAY_MIN_SECONDS": str(seconds),
                                         "ROLL_DELAY_MAX_SECONDS": str(seconds), **settings})


def fill(folder, dice):
    """Slow rolls until one is refused: (rolls in flight, the refusals, times of the probes)."""
    roller = roller_with(folder, dice, 60)
    client, refusals = Client(roller.port), []
    with Probes(roller) as probes:
        while not refusals:
            client.send("/roll?die=fair")
            refusals += client.receive(0.001)
        while more := list(client.receive(1)):  # sent before the first refusal was read
            refusals += more
    in_flight = client.in_flight
    client.close()
    roller.stop()
    return in_flight, refusals, probes.times


def offer(client, rate, seconds):
    """Sends at a rate, and returns the replies and the accepted rolls per second."""
    start = time.perf_counter()
    sent, replies, accepted = 0, [], 0
    while (now := time.perf_counter() - start) < seconds:
        while sent < now * rate:
            client.send("/roll?die=fair")
            sent += 1
        for reply in client.receive(sent / rate - (time.perf_counter() - start)):
            replies.append(reply)
            # The first rolls end after the time that each takes.
            accepted += reply.status == 200 and time.perf_counter() - start >= 2 * ROLL_SECONDS
    return replies + client.receive_all(), accepted / (seconds - 2 * ROLL_SECONDS)


def capacity(folder, quick):
    dice = Program(folder, DIE_SERVICE, {})
    in_flight, refusals, times = fill(folder, dice)
    filled = {"in_flight": in_flight, "refused_milliseconds": max(reply.seconds for reply in refusals) * 1e3,
              "probe_p99_milliseconds": percentile(times, 0.99) * 1e3}
    lines = ["capacity: one roll after the other, each of 60 s, until one is refused",
             f"  {in_flight} in flight, then refused within {filled['refused_milliseconds']:.1f} ms; health and metrics meanwhile: "
             f"p99 {filled['probe_p99_milliseconds']:.1f} ms of {len(times)}"]
    verdicts = [(f"{DEFAULT_LIMIT} rolls in flight, then 503 with Retry-After",
                 in_flight == DEFAULT_LIMIT and all(map(refused_well, refusals)), f"{in_flight}")]

    roller = roller_with(folder, dice, ROLL_SECONDS, MAX_ROLL_THREADS=str(AT_WORK))
    client, full, curve, correct = Client(roller.port), AT_WORK / ROLL_SECONDS, {}, True
    offer(client, full, 1.5)
    for factor in FACTORS:
        with Probes(roller) as probes:
            replies, accepted = offer(client, factor * full, 2 if quick else 4)
        refused = [reply.seconds for reply in replies if reply.status != 200]
        correct &= all(reply.status == 200 or refused_well(reply) for reply in replies)
        curve[factor] = {"offered_per_second": factor * full, "accepted_per_second": accepted, "refused": len(refused),
                         "refused_p99_milliseconds": percentile(refused, 0.99) * 1e3 if refused else 0,
                         "refused_worst_milliseconds": max(refused, default=0) * 1e3,
                         "probe_p99_milliseconds": percentile(probes.times, 0.99) * 1e3}
    client.close()
    roller.wait_for(lambda: all(float(value) == 0 for series, value in roller.metrics().items()
                                if series.startswith("http_requests_in_progress") and "/roll" in series), "the gauges to return to 0")
    code = roller.stop()
    dice.stop()

    lines += [f"offered load: rolls of {ROLL_SECONDS} s, {AT_WORK} at work at once, which is {full:.0f}/s; sent at a constant rate"]
    lines += table(["× capacity", "offered/s", "accepted/s", "refused", "refused in ms, p99", "worst", "health ms, p99"],
                   [[f"{factor}", f"{one['offered_per_second']:,.0f}", f"{one['accepted_per_second']:.0f}", str(one["refused"]),
                     f"{one['refused_p99_milliseconds']:.2f}", f"{one['refused_worst_milliseconds']:.2f}",
                     f"{one['probe_p99_milliseconds']:.2f}"] for factor, one in curve.items()])
    least = min(one["accepted_per_second"] for one in curve.values()) / curve[1]["accepted_per_second"]
    refused = max(one["refused_p99_milliseconds"] for one in curve.values())
    health = max(one["probe_p99_milliseconds"] for one in [filled, *curve.values()])
    verdicts += [("every reply is 200, or 503 with Retry-After", correct, f"at {FACTORS[0]} to {FACTORS[-1]} × capacity"),
                 ("accepted work does not fall (≥ 0.97 × that at 1 × capacity)", least >= 0.97, f"{least:.3f}"),
                 ("refused within 10 ms, p99", refused <= 10, f"{refused:.2f} ms"),
                 ("health and metrics within 20 ms, p99", health <= 20, f"{health:.2f} ms"),
                 ("gauges return to 0, and exit 0", code == 0, "after the last reply")]
    return {"filled": filled, "curve": curve}, lines, verdicts
