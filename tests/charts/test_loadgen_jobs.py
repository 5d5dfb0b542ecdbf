"""The load generator's Job and CronJob, the pod of helm test, and the canary."""

import pytest

from conftest import METRICS_PORTS, environment, render
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
        assert env["LOADGEN_METRICS_PORT"] == str(METRICS_PORTS["loadgen"])
        # One pod sends all of the load.
        assert not {"LOADGEN_PARTS", "LOADGEN_PEERS"} & set(env) and "completionMode" not in one and "subdomain" not in spec


def test_pods_of_a_job_share_the_load():
    objects = render("loadgen.job.enabled=true", "loadgen.cronjob.enabled=true", "loadgen.job.parallelism=4")
    job, service = objects.one("Job", "dice-loadgen-1")["spec"], objects.one("Service", "dice-loadgen")["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 4)
    # No part is sent twice, and one that fails does not stop the others, as a backoffLimit would.
    assert job["backoffLimitPerIndex"] == 0 and "backoffLimit" not in job
    # The pods have the host names JOB-INDEX.
    assert job["template"]["spec"]["subdomain"] == "dice-loadgen"
    assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"] is True
    env = environment(job["template"]["spec"])
    assert (env["LOADGEN_PARTS"], env["LOADGEN_PEERS"]) == ("4", ",".join(f"http://dice-loadgen-1-{part}.dice-loadgen:8404" for part in range(4)))
    cron = objects.one("CronJob", "dice-loadgen")["spec"]["jobTemplate"]["spec"]
    assert "parallelism" not in cron and "LOADGEN_PARTS" not in environment(cron["template"]["spec"])


METRICS = "http://dice-frontend-metrics:9400,http://dice-roller-metrics:9401,http://dice-die-service-metrics:9402"
LOOKS = ("LOADGEN_TEMPO", "LOADGEN_PROMETHEUS", "LOADGEN_LOKI", "LOADGEN_METRICS")


SEEN = {
    (): (None, None, None, METRICS),
    STACK: ("http://tempo.monitoring.svc.cluster.local:3200", "http://prometheus.monitoring.svc:9090", "http://loki.monitoring.svc:3100", None),
    ("telemetry.lokiUrl=http://loki:3100",): (None, None, "http://loki:3100", METRICS),
    # With any number of replicas.
    ("replicaCount=1",): (None, None, None, METRICS),
    ("replicaCount=3",): (None, None, None, METRICS),
    ("dieService.replicaCount=1", "telemetry.tempoUrl=http://tempo:3200"): ("http://tempo:3200", None, None, METRICS),
}


def looks(spec):
    env = environment(spec)
    assert env["LOADGEN_URL"] == "http://dice-frontend:8400"
    # Prometheus may have other releases.
    own = '{namespace="dice",service=~"dice-frontend-metrics|dice-roller-metrics|dice-die-service-metrics"}'
    assert env.get("LOADGEN_PROMETHEUS_SELECTOR") == (own if "LOADGEN_PROMETHEUS" in env else None)
    return tuple(env.get(name) for name in LOOKS)


@pytest.mark.parametrize("values", SEEN)
def test_helm_test_verifies_everything(values):
    pod_of_test = render(*values).one("Pod", "dice-verify")
    assert pod_of_test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod_of_test["spec"]["restartPolicy"] == "Never"
    assert pod_of_test["spec"]["containers"][0]["args"] == ["verify", "--shared"]
    assert looks(pod_of_test["spec"]) == SEEN[values]


@pytest.mark.parametrize("values", SEEN)
def test_canary_verifies_everything_all_day(values):
    deployment = render(*values, "canary.enabled=true", "canary.everySeconds=7").one("Deployment", "dice-canary")["spec"]
    # Never two at a time.
    assert deployment["replicas"] == 1 and deployment["strategy"] == {"type": "Recreate"}
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["args"] == ["verify", "--shared", "--every", "7"]
    assert looks(deployment["template"]["spec"]) == SEEN[values]
    assert environment(deployment["template"]["spec"])["LOADGEN_METRICS_PORT"] == str(METRICS_PORTS["canary"])
    # It is ready only after a check, which may take longer than a start may.
    assert container["startupProbe"]["httpGet"] == container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["resources"]["limits"]["memory"] == "32Mi"


def test_canary_has_its_own_values_and_the_image_of_the_load_generator():
    values = ("canary.enabled=true", "resources.limits.memory=1Gi", "image.tag=v5", "canary.env.LOADGEN_DIE=d20", "canary.nodeSelector.x=y")
    spec = render(*values).one("Deployment", "dice-canary")["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "dice/loadgen:v5" and spec["containers"][0]["resources"]["limits"]["memory"] == "32Mi"
    assert environment(spec)["LOADGEN_DIE"] == "d20" and spec["nodeSelector"] == {"x": "y"}
    assert "LOADGEN_DIE" not in environment(render(*values).one("Pod", "dice-verify")["spec"])
