"""Compares the documentation with the code, in both directions.

Runs from anywhere. DICE_BIN: folder of the programs (default build/release/bin).
"""

import json
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import generate  # noqa: E402

sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BIN = contract.default_bin()
TELEMETRY = (ROOT / "docs/telemetry.md").read_text()
API = (ROOT / "docs/api.md").read_text()

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
PAGE_IDS = [page.name for page in PAGES]


def uncommented(text):
    """C++ without comments; strings are unchanged."""
    return re.sub(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*', lambda match: match[0] if match[0].startswith('"') else "", text)


SOURCES = {path.relative_to(ROOT): uncommented(path.read_text())
           for path in sorted((ROOT / "services").rglob("*")) if path.suffix in (".cc", ".h")}


def code_in(text):
    """The text formatted as code: in fences and between backticks."""
    return FENCE.findall(text) + INLINE.findall(FENCE.sub("", text))


def section(text, title):
    """The text under a heading, up to the next one of the same or a higher level."""
    rank, found, inside = 0, [], False
    for line in text.splitlines():
        heading = re.match(r"(#+) (.*)", line)
        if heading and inside and len(heading[1]) <= rank:
            break
        if heading and heading[2] == title:
            rank, inside = len(heading[1]), True
        elif inside:
            found.append(line)
    assert inside, f"no heading '{title}'"
    return "\n".join(found)


def rows(text):
    """The cells of all table rows, without headers."""
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line.startswith("|")]
    heads = {number - 1 for number, row in enumerate(cells) if all(set(cell) <= {"-"} and cell for cell in row)}
    return [row for number, row in enumerate(cells) if number not in heads and number - 1 not in heads]


def words(cell):
    return INLINE.findall(cell)


def arguments(text, start):
    """The arguments of a call whose opening parenthesis is before `start`."""
    parts, depth, begin, at = [], 0, start, start
    while True:
        string = STRING.match(text, at)
        if string:
            at = string.end()
            continue
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            depth -= 1
            if depth < 0:
                return [*parts, text[begin:at]]
        elif text[at] == "," and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1


def log_calls():
    """(enumerator of the message, fields) of every line that the services log."""
    for path, text in SOURCES.items():
        for call in re.finditer(r"\blog\w*(?:\(\))?\.log\(", text):
            parts = arguments(text, call.end())
            messages = re.findall(r"LogMessage::(\w+)", parts[0]) or re.findall(r"LogMessage::(\w+)", parts[1])
            for message in messages:
                yield message, re.findall(r'\{\s*"([^"]+)"', ",".join(parts[1:]))


@pytest.mark.parametrize("page", generate.PAGES, ids=lambda page: page.name)
def test_tables_are_what_the_programs_say(page):
    assert generate.render(page, BIN) == page.read_text(), f"{page.name} is out of date: run docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_flags_that_are_shown_exist(page):
    """In calls of loadgen, regardless of the command."""
    known = {name.strip("`") for command in generate.COMMANDS for name, *_ in generate.flags(BIN / "loadgen", command)}
    for code in code_in(page.read_text()):
        for line in code.splitlines():
            for call in re.findall(r"\bloadgen (?:traffic|compare|verify)\b([^|;&]*)", line):
                for flag in re.findall(r"(?<![\w-])--[a-z-]+", call):
                    assert flag in known, f"{page.name}: loadgen knows no {flag}"


def test_causes_that_are_listed_are_those_of_the_code():
    """Each begins as documented."""
    code = " ".join(STRING.findall(uncommented((ROOT / "loadgen/verify/diagnosis.cc").read_text())))
    listed = [words(row[0])[0] for row in rows(section((ROOT / "docs/loadgen.md").read_text(), "Diagnosing a broken pipeline"))]
    assert listed
    for cause in listed:
        for part in cause.split("…"):
            assert part.strip() in code, f"no cause says {part!r}"


def test_metrics_of_traffic_that_are_listed_are_those_of_the_code():
    code = STRING.findall(uncommented((ROOT / "loadgen/traffic/load_metrics.cc").read_text()))
    listed = [words(row[0])[0] for row in rows(section((ROOT / "docs/loadgen.md").read_text(), "Metrics of traffic"))]
    assert sorted(listed) == sorted(text for text in code if text.startswith("loadgen_"))


def test_variables_that_are_named_exist():
    known = {"DICE_BIN", "JOB_COMPLETION_INDEX", "OTEL_EXPORTER_OTLP_HEADERS"}
    for service in contract.services(BIN):
        known |= set(generate.options(BIN / service))
    for command in generate.COMMANDS:
        known |= {"LOADGEN_" + name.strip("`-").upper().replace("-", "_") for name, *_ in generate.flags(BIN / "loadgen", command)}
    for page in PAGES:
        for code in code_in(page.read_text()):
            for name in re.findall(r"(?<![\w-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w…])", code):
                assert name in known or name == "THE_ID", f"{page.name}: no program knows {name}"


def test_log_lines_have_the_fields_that_are_documented():
    rows = re.findall(r'LogMessageRow\{\s*(\w+),\s*"([^"]+)"', SOURCES[pathlib.Path("services/contract/log_message.cc")])
    documented = {one["message"]: words(one["fields"]) for one in contract.read(BIN)["log_messages"]}
    fields_of = {name: documented[message] for name, message in rows}
    logged = set()
    for name, fields in log_calls():
        logged.add(name)
        for field in fields:
            assert field in fields_of[name], f"{name} has the field {field!r}"
    named = {name for path, text in SOURCES.items() if path.parts[1] != "contract" for name in re.findall(r"LogMessage::(\w+)", text)}
    assert logged <= named == set(fields_of), f"never logged: {set(fields_of) - named}"
    assert len(logged) > 15


def test_access_line_has_the_fields_of_the_code():
    text = SOURCES[pathlib.Path("services/common/http/middleware.cc")]
    start = text.index("std::vector<Field> fields")
    fields = re.findall(r'\{"([^"]+)", ', text[start:text.index("LogMessage::request", start)])
    row = next(one for one in contract.read(BIN)["log_messages"] if one["message"] == "Request")
    assert fields and words(row["fields"]) == fields


def test_span_attributes_and_events_are_those_of_the_code():
    set_in_code = set()
    for text in SOURCES.values():
        set_in_code |= set(re.findall(r'(?:\bset|\bSetAttribute)\(\s*"([a-z_.]+)"', text))
        set_in_code |= {key for key in re.findall(r'\{\s*"([a-z_]+(?:\.[a-z_]+)+)",', text)}
        set_in_code |= set(re.findall(r'attributes\["([a-z_.]+)"\]', text))
    names = SOURCES[pathlib.Path("services/contract/names.h")]
    set_in_code |= set(STRING.findall(names[names.index("namespace attribute"):]))
    documented = set(words(section(TELEMETRY, "Spans")))
    assert set_in_code >= {"die.result", "http.route", "service.name", "error.type"}
    assert set_in_code <= documented, f"not in docs/telemetry.md: {set_in_code - documented}"
    in_tables = {word for row in rows(section(TELEMETRY, "Spans")) if not words(row[0])[0].startswith("Async") for word in words(row[0])}
    assert in_tables <= set_in_code, f"no span has {in_tables - set_in_code}"

    messages = dict(re.findall(r'LogMessageRow\{\s*(\w+),\s*"([^"]+)"', SOURCES[pathlib.Path("services/contract/log_message.cc")]))
    telemetry = SOURCES[pathlib.Path("services/dice-roller/roll_telemetry.cc")]
    events = {messages[name] for name in re.findall(r"return LogMessage::(\w+)", telemetry)}
    described = {words(row[0])[0] for row in rows(section(TELEMETRY, "Server spans")) if row[0].startswith("`Async")}
    assert events and described == events, described ^ events


def test_every_path_is_in_the_api():
    names = SOURCES[pathlib.Path("services/contract/names.h")]
    paths = {path for path in STRING.findall(names[names.index("namespace route"):]) if path.startswith("/")}
    for text in SOURCES.values():
        paths |= set(re.findall(r'ASSET\(\w+, "(/[^"]*)"', text))
    assert len(paths) > 10
    named = {word.removeprefix("GET ").removeprefix("PUT ").split("?")[0] for word in words(API)}
    assert paths <= named, f"not in docs/api.md: {paths - named}"


def anchors(page):
    """Anchors as GitHub generates them from headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_somewhere(page):
    text = INLINE.sub("", FENCE.sub("", page.read_text()))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target} does not exist"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_files_that_are_named_exist(page):
    """Paths in code and in the list of folders; the build creates build/."""
    for code in code_in(page.read_text()):
        for name in re.findall(r"(?<![\w/.])(?:services|tests|bench|docs|loadgen|charts|kustomize|stack)/[\w./-]*\w", code):
            assert (ROOT / name).exists(), f"{page.name}: no {name}"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):(?!=)", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) *\??:?=", makefile, re.MULTILINE))
    for code in code_in(page.read_text()):
        for target, rest in re.findall(r"\bmake ([a-z][a-z0-9-]*)\b((?: [A-Z]+=)?)", code):
            assert target in targets, f"{page.name}: make {target}"
            assert not rest or rest.strip(" =") in variables, f"{page.name}: make {target}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_json_that_is_shown_is_json(page):
    """Complete response and log lines, which must be correct."""
    for fence in FENCE.findall(page.read_text()):
        for line in fence.splitlines():
            if line.startswith("{") and not fence.startswith(("```logql", "```traceql")):
                json.loads(line)
