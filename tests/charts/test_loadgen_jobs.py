"""The load generator's Job and CronJob, and the pod of helm test."""

import pytest

from conftest import environment, render
from renderings import STACK


def test_job_and_cron_job_make_traffic():
    objects = render("loadgen.job.enabled=true", "loadgen.cronjob.enabled=true", "loadgen.env.LOADGEN_USERS=3", "loadgen.job.ttlSecondsAfterFinished=9")
    cron = objects.one("CronJob", "dice-loadgen")["spec"]
    assert (cron["schedule"], cron["concurrencyPolicy"]) == ("*/5 * * * *", "Forbid")
    assert cron["successfulJobsHistoryLimit"] == cron["failedJobsHistoryLimit"] == 3
    job = objects.one("Job", "dice-loadgen-1")["spec"]
    assert job["ttlSecondsAfterFinished"] == 9
    for one in (job, cron["jobTemplate"]["spec"]):
        spec = one["template"]["spec"]
        assert one["backoffLimit"] == 0 and spec["restartPolicy"] == "Never"
        assert spec["containers"][0]["args"] == ["traffic"]
        env = environment(spec)
        assert (env["LOADGEN_URL"], env["LOADGEN_USERS"]) == ("http://dice-frontend:8400", "3") and float(env["LOADGEN_WAIT"]) > 0


METRICS = "http://dice-frontend:9400,http://dice-roller:9401,http://dice-die-service:9402"
LOOKS = ("LOADGEN_TEMPO", "LOADGEN_PROMETHEUS", "LOADGEN_LOKI", "LOADGEN_METRICS")


@pytest.mark.parametrize("values, arguments, looks", [
    ((), [], (None, None, None, METRICS)),
    (STACK, [], ("http://tempo.monitoring.svc.cluster.local:3200", "http://prometheus.monitoring.svc:9090", "http://loki.monitoring.svc:3100", None)),
    (("telemetry.lokiUrl=http://loki:3100",), [], (None, None, "http://loki:3100", METRICS)),
    # With several replicas behind a Service, no pod has all counters and spans.
    (("replicaCount=2",), ["--answers-only"], (None, None, None, None)),
    (("diceRoller.autoscaling.enabled=true",), ["--answers-only"], (None, None, None, None)),
    (("dieService.replicaCount=2", "telemetry.tempoUrl=http://tempo:3200"), [], ("http://tempo:3200", None, None, None)),
])
def test_helm_test_verifies_what_can_be_seen(values, arguments, looks):
    pod_of_test = render(*values).one("Pod", "dice-verify")
    assert pod_of_test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod_of_test["spec"]["restartPolicy"] == "Never"
    assert pod_of_test["spec"]["containers"][0]["args"] == ["verify", "--shared", *arguments]
    env = environment(pod_of_test["spec"])
    assert env["LOADGEN_URL"] == "http://dice-frontend:8400"
    assert tuple(env.get(name) for name in LOOKS) == looks
