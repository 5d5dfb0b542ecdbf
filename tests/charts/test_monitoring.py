"""ServiceMonitor, PodMonitor, PrometheusRule and dashboards."""

import json

import pytest
import yaml

from conftest import CHART, SERVICES, refusal, render


def test_service_monitor_gives_three_jobs():
    objects = render("serviceMonitor.enabled=true", "serviceMonitor.labels.release=kps", "serviceMonitor.interval=5s",
                     "frontend.externalService.enabled=true")
    monitor = objects.one("ServiceMonitor", "dice")
    (endpoint,) = monitor["spec"]["endpoints"]
    services = [one for one in objects.kind("Service")
                if monitor["spec"]["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
                and endpoint["port"] in [port["name"] for port in one["spec"]["ports"]]]
    assert sorted(one["metadata"]["labels"][monitor["spec"]["jobLabel"]] for one in services) == sorted(SERVICES)
    assert sorted(one["metadata"]["name"] for one in services) == sorted(f"{name}-metrics" for name in SERVICES.values())
    assert monitor["metadata"]["labels"]["release"] == "kps" and endpoint["interval"] == "5s"


def test_pod_monitor_gives_load_generator_and_canary():
    objects = render("serviceMonitor.enabled=true", "serviceMonitor.labels.release=kps", "serviceMonitor.interval=5s",
                     "canary.enabled=true", "loadgen.job.enabled=true", "loadgen.cronjob.enabled=true")
    monitor = objects.one("PodMonitor", "dice")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (wanted,) = monitor["spec"]["selector"]["matchExpressions"]
    assert wanted["operator"] == "In"
    owners = {owner: metadata["labels"][monitor["spec"]["jobLabel"]] for owner, metadata, spec in objects.pods()
              if monitor["spec"]["selector"]["matchLabels"].items() <= metadata["labels"].items()
              and metadata["labels"][wanted["key"]] in wanted["values"]
              and endpoint["port"] in [port["name"] for port in spec["containers"][0].get("ports", [])]}
    assert owners == {"Deployment dice-canary": "canary", "Job dice-loadgen-1": "loadgen", "CronJob dice-loadgen": "loadgen"}
    assert monitor["metadata"]["labels"]["release"] == "kps" and endpoint["interval"] == "5s"


ON = ("prometheusRule.enabled=true", "dashboards.enabled=true")


def test_without_files_there_is_nothing(chart):
    assert not [one for one in render(*ON, chart=chart) if one["kind"] == "PrometheusRule" or "dashboard" in one["metadata"]["name"]]


def test_rules_become_one_prometheus_rule(chart):
    one = {"name": "a", "rules": [{"alert": "A", "expr": 'up{job="x"} == 0', "for": "1m", "annotations": {
        "summary": "{{ $labels.job }} {{ $value | humanize }}", "runbook_url": "$RUNBOOKS/A.md", "dashboard_url": "$GRAFANA/d/a"}}]}
    two = {"name": "b", "interval": "2m", "rules": [{"record": "b", "expr": "sum(a)"}]}
    (chart / "rules/1.yaml").write_text(yaml.safe_dump({"groups": [one]}))
    (chart / "rules/2.yaml").write_text("# two\ngroups:\n  - " + json.dumps(two) + "\n")
    rule = render(*ON, "prometheusRule.labels.release=kps", "grafana.url=https://g.example.com/", chart=chart).one("PrometheusRule", "dice")
    one["rules"][0]["annotations"].update(runbook_url="docs/runbooks/A.md", dashboard_url="https://g.example.com/d/a")
    assert rule["spec"] == {"groups": [one, two]} and rule["metadata"]["labels"]["release"] == "kps"
    rule = render(*ON, "prometheusRule.runbookUrl=https://r.example.com", chart=chart).one("PrometheusRule", "dice")
    assert rule["spec"]["groups"][0]["rules"][0]["annotations"]["runbook_url"] == "https://r.example.com/A.md"
    assert not render("prometheusRule.enabled=false", chart=chart).kind("PrometheusRule")
    assert render(*ON, "prometheusRule.files=2*", chart=chart).one("PrometheusRule", "dice")["spec"] == {"groups": [two]}


@pytest.mark.parametrize("text", ["groups: [", "rules: []", "groups: {}"])
def test_rule_file_that_is_none_is_named(chart, text):
    (chart / "rules/broken.yaml").write_text(text)
    assert "rules/broken.yaml" in refusal(*ON, chart=chart)


def test_each_dashboard_becomes_a_config_map(chart):
    text = '{\n  "title": "T",\n\n  "legend": "{{ job }} $__rate_interval"\n}\n'
    (chart / "dashboards/dice-one.json").write_text(text)
    (chart / "dashboards/dice-two.json").write_text("{}")
    (chart / "dashboards/notes.md").write_text("none")
    objects = render(*ON, "dashboards.folder=Games", "dashboards.label=board", "dashboards.labelValue=yes", chart=chart)
    found = [one for one in objects.kind("ConfigMap") if "board" in one["metadata"]["labels"]]
    assert [one["metadata"]["name"] for one in found] == ["dice-dashboard-dice-one", "dice-dashboard-dice-two"]
    assert found[0]["data"] == {"dice-one.json": text} and json.loads(found[1]["data"]["dice-two.json"]) == {}
    for one in found:
        assert one["metadata"]["labels"]["board"] == "yes" and one["metadata"]["annotations"] == {"grafana_folder": "Games"}
    (default, _) = [one for one in render(*ON, chart=chart).kind("ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    assert default["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert not [name for _, name in render("dashboards.enabled=false", chart=chart).ids() if "dashboard" in name]
    assert [name for _, name in render("dashboards.files=dice-t*", chart=chart).ids() if "dashboard" in name] == ["dice-dashboard-dice-two"]


def test_own_files_are_all_in():
    objects = render(*ON)
    names = {f"dice-dashboard-{file.stem}" for file in (CHART / "dashboards").glob("*.json")}
    assert {name for kind, name in objects.ids() if kind == "ConfigMap" and "dashboard" in name} == names
    groups = [group["name"] for file in sorted((CHART / "rules").glob("*.yaml")) for group in yaml.safe_load(file.read_text())["groups"]]
    assert [group["name"] for one in objects.kind("PrometheusRule") for group in one["spec"]["groups"]] == groups
