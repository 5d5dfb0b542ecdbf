"""Static checks of the dashboards: complete, consistent, and only existing metrics."""

import json
import re
import sys

import pytest
import queries
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import dashboard as schema
from grafana_foundation_sdk.models import units

sys.path[:0] = [str(queries.ROOT / "charts/dice/dashboards"), str(queries.ROOT / "tools")]

import contract  # noqa: E402
import dashboards as source  # noqa: E402

BOARDS = queries.dashboards()
each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
UNITS = {value.__args__[0] for value in vars(units).get("__annotations__", {}).values()}
# The schema does not know the annotations of individual data sources.
FROM_THE_DATASOURCE = ".titleFormat"
# Metrics of the contract that no dashboard, rule or document uses, and why.
UNUSED = {
    "process_virtual_memory_bytes": "address space that is reserved, not used: no number of it is good or bad",
}


def known_metrics():
    """{metric: type}"""
    return {metric["name"]: metric["type"] for metric in contract.read()["metrics"]} | queries.LOADGEN


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_generator_writes():
    made = source.render()
    assert {path: path.read_text() for path in queries.DASHBOARDS} == made, "run charts/dice/dashboards/dashboards.py"


@each_board
def test_grafana_knows_every_field(board):
    """Converts to the types that Grafana publishes and back, which loses unknown fields."""
    plugins.register_default_plugins()
    back = json.loads(json.dumps(schema.Dashboard.from_json(board), cls=encoder.JSONEncoder))
    lost = []

    def compare(before, after, path):
        if isinstance(before, dict) and isinstance(after, dict):
            for key, value in before.items():
                compare(value, after.get(key), f"{path}.{key}")
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after)):
                compare(one, other, f"{path}[{number}]")
        elif before != after and before not in ("", None, [], {}, False) and not path.endswith(FROM_THE_DATASOURCE):
            lost.append(f"{path}: {before!r} became {after!r}")

    compare(board, back, board["uid"])
    assert not lost, "\n".join(lost)


def test_ids_are_unique():
    assert len({board["uid"] for board in BOARDS}) == len({board["title"] for board in BOARDS}) == len(BOARDS) == 6
    for board in BOARDS:
        ids = [panel["id"] for panel in board["panels"]]
        titles = [panel["title"] for panel in board["panels"]]
        assert len(ids) == len(set(ids)) and len(titles) == len(set(titles)), board["uid"]
        for panel in panels(board):
            references = [target["refId"] for target in panel["targets"]]
            assert len(references) == len(set(references)), panel["title"]


@each_board
def test_panels_say_what_they_are(board):
    assert 36 <= board["schemaVersion"] <= 41 and board["tags"] == ["dice"]
    for panel in panels(board):
        where = f"{board['uid']}: {panel['title']}"
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] and panel["targets"], where
        assert len(panel["description"].split()) >= 4 and panel["description"][-1] == ".", where
        assert defaults["unit"] in UNITS, f"{where}: {defaults['unit']}"
        values = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert values[0] is None and values[1:] == sorted(values[1:]), where
        assert panel["links"], where


@each_board
def test_panels_do_not_overlap(board):
    taken = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["w"] > 0 and at["h"] > 0 and at["x"] >= 0 and at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{board['uid']}: {panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@each_board
def test_no_datasource_is_hard_coded(board):
    """Each data source is a variable, with the variable's type."""
    chosen = {one["name"]: one["query"] for one in board["templating"]["list"] if one["type"] == "datasource"}
    found = []

    def walk(value):
        if isinstance(value, dict):
            if "datasource" in value:
                found.append(value["datasource"])
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(board)
    assert len(found) > 2 * len(panels(board))
    for source in found:
        name = re.fullmatch(r"\$\{(\w+)\}", source["uid"])
        assert name and chosen[name[1]] == source["type"], source


@each_board
def test_variables_exist(board):
    known = {one["name"] for one in board["templating"]["list"]}
    for name in re.findall(r"\$\{?(\w+)", json.dumps(board)):
        assert name.startswith("__") or name in known, f"{board['uid']}: ${name}"


def test_links_lead_to_dashboards():
    uids = {board["uid"] for board in BOARDS}
    for board in BOARDS:
        targets = re.findall(r'"url": "([^"]+)"', json.dumps(board))
        assert targets
        for target in targets:
            path = re.fullmatch(r"/d/([\w-]+)\?.*", target)
            assert path and path[1] in uids, f"{board['uid']}: {target}"
        assert {re.search(r"/d/([\w-]+)", link["url"])[1] for panel in panels(board) for link in panel["links"]} >= uids - {board["uid"]}


def family(name, known):
    """The name of the metric in the contract: a histogram has three series."""
    stem = re.sub(r"_(bucket|sum|count)$", "", name)
    return stem if known.get(stem) == "histogram" else name


def test_metrics_exist_and_are_used():
    known = known_metrics()
    recorded = {rule["record"] for _, rule in queries.rules() if "record" in rule}
    used = set()
    for query in queries.every():
        if query.language != "promql":
            continue
        names = queries.metrics_of(query.expr)
        assert names or "vector(" in query.expr, query
        for name in names:
            if name in recorded or name in queries.PROMETHEUS or queries.UPSTREAM.fullmatch(name):
                used.add(name)
                continue
            assert family(name, known) in known, f"{query.where}: there is no metric {name}"
            assert (known[family(name, known)] == "histogram") == (family(name, known) != name), f"{query.where}: {name}"
            used.add(family(name, known))
    assert recorded <= used, f"recorded for nobody: {recorded - used}"
    unused = set(known) - used
    assert unused == set(UNUSED), f"neither used nor declared unused: {unused - set(UNUSED)}; used after all: {set(UNUSED) - unused}"


def test_causes_are_in_words():
    assert list(source.CAUSES) == [cause["name"] for cause in contract.read()["causes"]]


def test_queries_for_the_cluster_are_there():
    others = [query for query in queries.every() if queries.on_cluster_only(query)]
    assert {query.language for query in others} == {"promql", "logql", "traceql", "trace"}
    assert {queries.filled_when(query) for query in others} == {None, *queries.EMPTY_WHILE_WELL.values()}
    for part in queries.EMPTY_WHILE_WELL:
        assert any(part in query.expr for query in others), part


def test_counters_are_not_read_raw():
    """The value of a counter depends on when the process started; only its increase is meaningful."""
    known = known_metrics()
    for query in queries.every():
        if query.language == "promql" and "variable" not in query.where:
            for name, window in re.findall(r"(?<![\w:])(\w+)(?![\w:])(?:\{[^}]*\})?(\[)?", queries.without_strings(query.expr)):
                if known.get(family(name, known)) in ("counter", "histogram"):
                    assert window, f"{query.where}: {name} is read without rate or increase"
