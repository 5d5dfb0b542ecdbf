#!/usr/bin/env python3
"""Writes the tables of the documents: those of docs/configuration.md and docs/loadgen.md from what the programs say with
--help, those of docs/api.md and docs/telemetry.md and the causes in docs/loadgen.md from the contract (services/contract),
and the one of charts/dice/README.md from the comments in values.yaml.

usage: docs/generate.py [BIN]     (BIN: folder of the programs; default $DICE_BIN, else build/release/bin)

Only the text between the markers <!-- generated: NAME --> and <!-- end: NAME --> is replaced.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

CHART = ROOT / "charts/dice"
COMMANDS = ("traffic", "compare", "verify")
OPTION = re.compile(r"^  (\S+|--\S+, \w+) = (.*)\n      (.*)\n      (.*)$", re.MULTILINE)


def options(program, *command):
    """{variable, or "--flag, variable": (default, meaning, allowed)} in the program's order."""
    # An empty environment: some defaults follow other variables.
    text = subprocess.run([program, *command, "--help"], env={}, capture_output=True, text=True, check=True).stdout
    found = {name: (default, meaning, allowed) for name, default, meaning, allowed in OPTION.findall(text)}
    if not found or len(found) != len(re.findall(r"^  \S", text, re.MULTILINE)):
        raise SystemExit(f"{program} --help does not have the expected format")
    return found


def flags(program, command):
    """(flag, default, meaning, allowed) of a command of loadgen, in its order."""
    for name, (default, meaning, allowed) in options(program, command).items():
        yield f"`{name.split(',')[0]}`", code(default), meaning, allowed


def code(text):
    return text if text == "(unset)" else f"`{text}`"


def cell(text):
    return text.replace("|", "\\|")


def rows(lines, head=("variable", "default", "meaning", "allowed")):
    table = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    table += ["| " + " | ".join(cell(part) for part in line) + " |" for line in lines]
    return "\n".join(table)


def tables(folder):
    """{marker's name: table}"""
    services = contract.services(folder)
    of = {service: options(pathlib.Path(folder).resolve() / service) for service in services}
    first = of[services[0]]
    shared = [name for name in first if all(name in one and one[name][1:] == first[name][1:] for one in of.values())]
    common = []
    for name in shared:
        defaults = {service: of[service][name][0] for service in services}
        if len(set(defaults.values())) == 1:
            default = code(defaults[services[0]])
        else:
            default = ", ".join(f"{service} {code(value)}" for service, value in defaults.items())
        common.append((f"`{name}`", default, *first[name][1:]))
    result = {"common": rows(common)}
    for service in services:
        result[service] = rows((f"`{name}`", code(default), meaning, allowed)
                               for name, (default, meaning, allowed) in of[service].items() if name not in shared)
    return result


def chart_values(text):
    """(key, default, meaning) of each value in values.yaml with a comment that begins with `# --`."""
    path, meaning = [], None
    for number, line in enumerate(text.splitlines(), 1):
        indent, rest = len(line) - len(line.lstrip()), line.strip()
        if rest.startswith("# --") and not rest.startswith("# ---"):
            meaning = rest.removeprefix("# --").strip()
        elif rest.startswith("#") and meaning:
            meaning += " " + rest.removeprefix("#").strip()
        elif rest and not rest.startswith("#"):
            key, default = re.fullmatch(r"(\w+):(.*)", rest).groups()
            path = [*path[:indent // 2], key]
            if default and not meaning:
                raise SystemExit(f"values.yaml:{number}: {'.'.join(path)} has no comment that begins with # --")
            if default:
                yield ".".join(path), default.strip(), meaning
            meaning = None


def chart_table():
    lines = chart_values((CHART / "values.yaml").read_text())
    return rows(((code(key), code(default), meaning) for key, default, meaning in lines), ("value", "default", "meaning"))


def loadgen_tables(folder):
    program = pathlib.Path(folder).resolve() / "loadgen"
    causes = ((code(one["name"]), one["signals"].replace(",", ", "), one["meaning"]) for one in contract.read(folder)["causes"])
    return {"causes": rows(causes, ("cause", "signals", "meaning")),
            **{command: rows(flags(program, command), ("flag", "default", "meaning", "allowed")) for command in COMMANDS}}


def api_tables(folder):
    said = contract.read(folder)
    services = ((one["name"], str(one["port"]), str(one["metrics_port"])) for one in said["services"])
    parameters = ((code(one["name"]), one["routes"], one["allowed"], one["default"]) for one in said["parameters"])
    errors = ((code(one["code"]), str(one["status"]), one["meaning"]) for one in said["errors"])
    return {"services": rows(services, ("service", "port", "metrics port")),
            "parameters": rows(parameters, ("parameter", "of", "allowed", "default")),
            "strategies": "\n".join(f"- {code(one['name'])}: {one['meaning']}" for one in said["strategies"]),
            "errors": rows(errors, ("code", "status", "meaning"))}


def telemetry_tables(folder):
    said = contract.read(folder)

    def metrics(service):
        return rows(((code(one["name"]), one["type"], ", ".join(code(label) for label in one["labels"].split(",") if label),
                      f"{one['help']} {one['details']}".strip()) for one in said["metrics"] if one["service"] == service),
                    ("metric", "type", "labels", "meaning"))

    messages = ((code(one["message"]), one["level"], one["service"] or "all", one["fields"]) for one in said["log_messages"])
    return {"metrics": metrics(""), **{f"{name} metrics": metrics(name) for name in (*contract.services(folder), "canary")},
            "messages": rows(messages, ("message", "level", "service", "fields"))}


#: {page: what makes its tables of the folder of the programs}
PAGES = {ROOT / "docs/configuration.md": tables, ROOT / "docs/loadgen.md": loadgen_tables, ROOT / "docs/api.md": api_tables,
         ROOT / "docs/telemetry.md": telemetry_tables, CHART / "README.md": lambda folder: {"values": chart_table()}}


def render(page, folder):
    """The page's text with its tables renewed."""
    return replaced(page.read_text(), PAGES[page](folder))


def replaced(page, tables_by_name):
    for name, table in tables_by_name.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise SystemExit(f"the page must have the markers {start} and {end} once each")
        before, rest = page.split(start)
        after = rest.split(end)[1]
        page = f"{before}{start}\n{table}\n{end}{after}"
    return page


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] and sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = sys.argv[1] if len(sys.argv) > 1 else contract.default_bin()
    for page in PAGES:
        page.write_text(render(page, folder))


if __name__ == "__main__":
    main()
