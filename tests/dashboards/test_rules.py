"""The chart's Prometheus rules: promtool on them, and that each alert is tested, explained and linked."""

import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMTOOL = ROOT / "build/prometheus/usr/bin/promtool"
RULES = sorted((ROOT / "charts/dice/rules").glob("*.yaml"))
CASES = sorted((ROOT / "tests/dashboards/rules").glob("*.yaml"))


def promtool(*arguments, cwd=None):
    done = subprocess.run([PROMTOOL, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_promtool_accepts_the_rules():
    code, output = promtool("check", "rules", *RULES)
    assert code == 0, output


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(case, tmp_path):
    """promtool compares annotations word by word; here it is about when, so the rules go in without them."""
    for path in RULES:
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)  # all at the interval of the case
            for rule in group["rules"]:
                rule.pop("annotations", None)
        (tmp_path / path.name).write_text(yaml.safe_dump(rules))
    (tmp_path / "case.yaml").write_text(case.read_text())
    code, output = promtool("test", "rules", "case.yaml", cwd=tmp_path)
    assert code == 0, output
