"""The contract is defined once, in services/contract; everything else is generated from it or compared with it here."""

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

CONTRACT = contract.read()
SERVICES = [one["name"] for one in CONTRACT["services"]]
STRATEGIES = [one["name"] for one in CONTRACT["strategies"]]
MESSAGES = [one["message"] for one in CONTRACT["log_messages"]]
SPAN_PREFIX = CONTRACT["roll_span_prefix"]


def hand_written():
    """{path: text} of the C++, JavaScript and Python files, except tests."""
    listed = subprocess.run(["git", "ls-files", "*.cc", "*.h", "*.js", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {path: (ROOT / path).read_text() for path in listed.stdout.split() if not path.startswith("tests/")}


FILES = hand_written()


@pytest.mark.parametrize("literal", [*SERVICES, *STRATEGIES, *MESSAGES, SPAN_PREFIX])
def test_a_name_is_a_literal_in_one_file(literal):
    quoted = re.compile(r"""(["'`])""" + re.escape(literal) + r"\1")
    found = [path for path, text in FILES.items() if quoted.search(text)]
    assert len(found) == 1 and found[0].startswith("services/contract/"), found


def test_the_page_offers_the_strategies():
    page = (ROOT / "services/frontend/web/index.html").read_text()
    select = re.search(r'<select[^>]*name="strategy".*?</select>', page, re.DOTALL)[0]
    assert [value for value in re.findall(r'<option[^>]*value="([^"]*)"', select) if value] == STRATEGIES


def test_the_chart_allows_the_strategies():
    text = (ROOT / "charts/dice/values.schema.json").read_text()
    lists = [re.findall(r'"([^"]+)"', one) for one in re.findall(r'"enum": *\[([^\]]*)\]', text)]
    for one in lists:
        if set(one) & set(STRATEGIES):
            assert one == STRATEGIES


def test_compose_runs_the_services_on_their_ports():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(SERVICES) <= set(compose)
