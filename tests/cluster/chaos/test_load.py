"""Load that is shared by several pods: chart's Job with parallelism 4."""

import collections

import pytest

from cluster import Counters, install, kubectl, objects, summary_of, total, wait_for

PODS = 4
RATE = 1000
SECONDS = 30


@pytest.fixture(scope="module", autouse=True)
def installed(namespace):
    install("--set", "diceRoller.rollDelaySeconds.max=0.1")


def test_four_pods_share_the_load_and_print_one_summary(say):
    env = {"RATE": RATE, "DURATION": SECONDS, "ASYNC": 0.1, "MAX_BATCH": 5, "JSON": "true", "SEED": 1}
    with Counters("frontend") as frontend:
        before = frontend.read("http_requests_total")
        install("--set", "diceRoller.rollDelaySeconds.max=0.1", "--set", "loadgen.job.enabled=true",
                "--set", f"loadgen.job.parallelism={PODS}",
                *(part for name, value in env.items() for part in ("--set-string", f"loadgen.env.LOADGEN_{name}={value}")))
        job = next(one["metadata"]["name"] for one in objects("jobs", "--selector=app.kubernetes.io/component=loadgen"))
        status, _ = wait_for("the Job ends", lambda: [
            one["status"] for one in objects("jobs") if one["metadata"]["name"] == job and one["status"].get("conditions")],
            SECONDS + 180)
        logs = {pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]:
                kubectl("logs", pod["metadata"]["name"]) for pod in objects("pods", f"--selector=job-name={job}")}
        after = frontend.read("http_requests_total")
    assert status[0].get("succeeded") == PODS, logs
    summary = summary_of(logs["0"])
    say(f"{PODS} pods: {summary['requests']} requests, {summary['sent_rate']:.1f} per second of {RATE}, "
        f"{summary['unexpected_failures']} unexpected failures")
    assert summary["parts"] == summary["finished_parts"] == PODS and not summary["missing"]
    assert summary["rate_reached"] and abs(summary["sent_rate"] - RATE) <= 0.01 * RATE
    assert summary["requests"] == RATE * SECONDS

    counted, told = collections.Counter(), collections.Counter()
    for labels, value in (after - before).items():
        labels = dict(labels)
        # What each part asks for before the start.
        if labels["route"] in ("/roll", "/roll-async") and labels["error_code"] != "die_not_found":
            counted[labels["route"], f"{labels['status']} {labels['error_code']}".strip()] += value
    for route, of_route in summary["routes"].items():
        told.update({(route, outcome): count for outcome, count in of_route["outcomes"].items()})
    assert total(after) > 0
    assert counted == told
    say("summary and counters of the frontends are equal: " +
        ", ".join(f"{route} {outcome} {count:.0f}" for (route, outcome), count in sorted(told.items())))
