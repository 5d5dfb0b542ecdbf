"""The chart's Prometheus rules: promtool's tests, and each alert has a test, a runbook and a link."""

import re
import subprocess
import sys

import pytest
import queries
import yaml
from queries import ROOT, RULES

sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

PROMTOOL = ROOT / "build/prometheus/usr/bin/promtool"
CASES = sorted((ROOT / "tests/dashboards/rules").glob("*.yaml"))
ALERTS = [rule for _, rule in queries.rules() if "alert" in rule]
NAMES = {rule["alert"] for rule in ALERTS}


def promtool(*arguments, cwd=None):
    done = subprocess.run([PROMTOOL, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_promtool_accepts_the_rules():
    code, output = promtool("check", "rules", *RULES)
    assert code == 0, output


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(case, tmp_path):
    """The rules without annotations, which promtool would compare word by word; these tests are about timing."""
    for path in RULES:
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)  # all use the interval of the test case
            for rule in group["rules"]:
                rule.pop("annotations", None)
        (tmp_path / path.name).write_text(yaml.safe_dump(rules))
    (tmp_path / "case.yaml").write_text(case.read_text())
    code, output = promtool("test", "rules", "case.yaml", cwd=tmp_path)
    assert code == 0, output


def test_every_alert_has_a_case_that_fires_and_one_that_does_not():
    fires, silent = set(), set()
    for case in CASES:
        for one in yaml.safe_load(case.read_text())["tests"]:
            for test in one.get("alert_rule_test", []):
                if not test["exp_alerts"]:
                    silent.add(test["alertname"])
                for alert in test["exp_alerts"]:
                    labels = alert["exp_labels"]
                    fires.add((test["alertname"], labels["severity"], labels.get("window")))
    assert fires == {(rule["alert"], rule["labels"]["severity"], rule["labels"].get("window")) for rule in ALERTS}
    assert silent == NAMES


def alerts_of_causes():
    """{cause of the canary: the alerts that it raises}"""
    causes = {cause["name"]: [] for cause in contract.read()["causes"]}
    for rule in ALERTS:
        for operator, value in re.findall(r'telemetry_pipeline_broken\{\s*cause(=~|!~|=)"([^"]*)"', rule["expr"]):
            for cause, alerts in causes.items():
                if bool(re.fullmatch(value, cause)) == (operator != "!~"):
                    alerts.append(rule["alert"])
    return causes


def test_every_cause_raises_one_alert():
    raised = alerts_of_causes()
    assert {cause: len(alerts) for cause, alerts in raised.items()} == dict.fromkeys(raised, 1), raised
    tested = {alert["exp_labels"].get("cause") for case in CASES for one in yaml.safe_load(case.read_text())["tests"]
              for test in one.get("alert_rule_test", []) for alert in test["exp_alerts"]}
    assert tested >= set(raised)
    lost = [cause for cause, alerts in raised.items() if alerts == ["TelemetryPipelineLost"]]
    assert re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/runbooks/TelemetryPipelineLost.md").read_text(), re.MULTILINE) == lost


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"] + rule["labels"].get("window", ""))
def test_alerts_explain_themselves(rule):
    name, notes = rule["alert"], rule["annotations"]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert notes["summary"].endswith(".") and notes["description"].endswith(".")
    assert notes["runbook_url"] == f"$RUNBOOKS/{name}.md"
    assert (ROOT / f"docs/runbooks/{name}.md").read_text().startswith(f"# {name}\n")
    uid = re.fullmatch(r"\$GRAFANA/d/([\w-]+)", notes["dashboard_url"])
    assert uid and uid[1] in {board["uid"] for board in queries.dashboards()}


def test_runbooks_are_of_alerts():
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        assert path.stem in NAMES
        for part in ("What it means", "What users notice", "How to investigate", "What to do"):
            assert f"**{part}.**" in path.read_text(), f"{path.name}: {part}"
