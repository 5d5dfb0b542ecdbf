#!/usr/bin/env python3
"""Writes the tables in docs/configuration.md and docs/loadgen.md from the programs' --help, and the table in
charts/dice/README.md from the comments in values.yaml.

usage: docs/generate.py [BIN]     (BIN: folder of the programs; default $DICE_BIN, else build/release/bin)

Only the text between the markers <!-- generated: NAME --> and <!-- end: NAME --> is replaced.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/configuration.md"
LOADGEN = ROOT / "docs/loadgen.md"
CHART = ROOT / "charts/dice"
SERVICES = ("frontend", "dice-roller", "die-service")
COMMANDS = ("traffic", "compare", "verify")
OPTION = re.compile(r"^  (\S+|--\S+, \w+) = (.*)\n      (.*)\n      (.*)$", re.MULTILINE)


def default_bin():
    return pathlib.Path(os.environ.get("DICE_BIN", ROOT / "build/release/bin"))


def options(program, *command):
    """{variable, or "--flag, variable": (default, meaning, allowed)} in the program's order."""
    # With an empty environment, because some defaults depend on other variables.
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
    of = {service: options(pathlib.Path(folder).resolve() / service) for service in SERVICES}
    shared = [name for name in of["frontend"] if all(name in one and one[name][1:] == of["frontend"][name][1:] for one in of.values())]
    common = []
    for name in shared:
        defaults = {service: of[service][name][0] for service in SERVICES}
        if len(set(defaults.values())) == 1:
            default = code(defaults["frontend"])
        else:
            default = ", ".join(f"{service} {code(value)}" for service, value in defaults.items())
        common.append((f"`{name}`", default, *of["frontend"][name][1:]))
    result = {"common": rows(common)}
    for service in SERVICES:
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


def render(page, folder):
    """The page's text with updated tables."""
    return replaced(page, tables(folder))


def render_loadgen(page, folder):
    program = pathlib.Path(folder).resolve() / "loadgen"
    return replaced(page, {command: rows(flags(program, command), ("flag", "default", "meaning", "allowed")) for command in COMMANDS})


def render_chart(page):
    return replaced(page, {"values": chart_table()})


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
    folder = sys.argv[1] if len(sys.argv) > 1 else default_bin()
    PAGE.write_text(render(PAGE.read_text(), folder))
    LOADGEN.write_text(render_loadgen(LOADGEN.read_text(), folder))
    page = CHART / "README.md"
    page.write_text(render_chart(page.read_text()))


if __name__ == "__main__":
    main()
