"""Sets of values that together render everything that the chart can create."""

import pytest

STACK = (
    "telemetry.otlpEndpoint=http://otel-gateway.monitoring.svc:4318",
    "telemetry.tempoUrl=http://tempo.monitoring.svc.cluster.local:3200",
    "telemetry.prometheusUrl=http://prometheus.monitoring.svc:9090",
    "telemetry.lokiUrl=http://loki.monitoring.svc:3100",
    "grafana.url=https://grafana.example.com",
)
EVERYTHING = (
    *STACK,
    "loadgen.job.enabled=true",
    "loadgen.job.parallelism=4",
    "loadgen.cronjob.enabled=true",
    "canary.enabled=true",
    "serviceMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "ingress.enabled=true",
    "httpRoute.enabled=true",
    "httpRoute.parentRefs[0].name=public",
    "autoscaling.enabled=true",
    "frontend.externalService.enabled=true",
)
RENDERINGS = {
    "default": (),
    "stack": STACK,
    "everything": EVERYTHING,
    "one replica": ("replicaCount=1",),
    "another name": (*EVERYTHING, "fullnameOverride=wuerfel", "nameOverride=wuerfel"),
    "loads, no accounts": ("loadgen.job.enabled=true", "loadgen.cronjob.enabled=true", "canary.enabled=true", "serviceAccount.create=false"),
}

every_rendering = pytest.mark.parametrize("values", RENDERINGS.values(), ids=RENDERINGS)
