"""The built files have the protection that CMakeLists.txt asks for, and errors in settings cannot be used to forge output."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tools")]

import contract  # noqa: E402
import generate  # noqa: E402

BIN = contract.default_bin().resolve()
SERVICES = contract.services(BIN)
PROGRAMS = [*SERVICES, "loadgen"]
#: Per machine: what objects say about control-flow protection. A program says it only if the C library's start files do, too,
#: which Debian's do not.
CONTROL_FLOW = {"Advanced Micro Devices X86-64": "x86 feature: IBT, SHSTK", "AArch64": "AArch64 feature: BTI, PAC"}


def readelf(*arguments):
    return subprocess.run(["readelf", "--wide", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_is_hardened(program):
    file = BIN / program
    text = readelf("--file-header", "--dynamic", "--program-headers", file)
    assert re.search(r"Type: +DYN", text) and re.search(r"\(FLAGS_1\) .* PIE", text), "position-independent"
    assert "BIND_NOW" in text and "GNU_RELRO" in text and "TEXTREL" not in text
    flags = re.findall(r"^ *(\w+) +(?:0x\w+ +){5}([RWE ]{3}) ", text, re.MULTILINE)
    assert dict(flags)["GNU_STACK"] == "RW "
    assert not [segment for segment, rights in flags if "W" in rights and "E" in rights]
    symbols = set(re.findall(r" UND (\w+)@", readelf("--dyn-syms", file)))
    assert "__stack_chk_fail" in symbols
    assert [name for name in symbols if name.endswith("_chk")], "_FORTIFY_SOURCE"
    assert b"__n < this->size()" in file.read_bytes(), "_GLIBCXX_ASSERTIONS"


def test_every_object_has_control_flow_protection():
    objects = [file for folder in ("services", "loadgen") for file in (BIN.parent / folder).rglob("*.o")]
    assert {file.name for file in objects} >= {"assets.S.o", "settings.cc.o", "options.cc.o"}
    machine = re.search(r"Machine: +(.*)", readelf("--file-header", objects[0]))[1]
    unprotected = [file.name for file in objects if CONTROL_FLOW[machine] not in readelf("--notes", file)]
    assert not unprotected


#: More than one line, a colour, a C1 control character, no UTF-8, and too long.
HOSTILE = b"1\n\x1b[31mNAME: \xc2\x9b\xff\t" + 10_000 * b"x"


def run_with(program, *arguments, **variables):
    done = subprocess.run([BIN / program, *arguments], env={"PATH": os.environ["PATH"], **variables}, capture_output=True, timeout=60)
    text = done.stderr.decode()
    assert not done.stdout and text.endswith("\n")
    return done.returncode, text.removesuffix("\n").split("\n")


def errors_of(lines):
    """{name: error}"""
    for line in lines:
        assert line.isprintable() and len(line) < 1000, line
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("service", SERVICES)
def test_error_of_every_variable_is_one_printable_line(service):
    allowed = {name: option[2] for name, option in generate.options(BIN / service).items()}
    code, lines = run_with(service, **dict.fromkeys(allowed, HOSTILE))
    errors = errors_of(lines)
    # OpenTelemetry's variables are logged instead, and text is checked by its user.
    assert (code, set(errors)) == (2, {name for name, values in allowed.items() if values != "text" and not name.startswith("OTEL_")})
    for name, error in errors.items():
        assert re.match('"1��.*…" is not allowed', error) and error.endswith("; allowed: " + allowed[name]), error


@pytest.mark.parametrize("command", generate.COMMANDS)
def test_error_of_every_flag_is_one_printable_line(command):
    allowed = {flag.strip("`"): values for flag, *_, values in generate.flags(BIN / "loadgen", command)}
    code, lines = run_with("loadgen", command, *(flag.encode() + b"=" + HOSTILE for flag in allowed))
    assert code == 2
    assert set(errors_of(lines)) >= {flag for flag, values in allowed.items() if values != "text"}


@pytest.mark.parametrize("program, arguments, variables, code", [
    ("die-service", [], {"DIE_SPECIFICATIONS": HOSTILE}, 1),
    ("die-service", [], {"DIE_SPECIFICATIONS": "/dev/zero"}, 1),
    ("die-service", [HOSTILE], {}, 2),
    ("loadgen", [HOSTILE], {}, 2),
    ("loadgen", ["verify", HOSTILE], {}, 2),
    ("loadgen", ["verify", b"--" + HOSTILE, "1"], {}, 2),
    ("loadgen", ["verify", "--url", "http://localhost:9", "--answers-only", "--logs", HOSTILE], {}, 3),
    ("loadgen", ["verify", "--url", "http://localhost:9", "--answers-only", "--die", HOSTILE], {}, 3),
    ("loadgen", ["traffic", "--url", "http://localhost:9", "--wait", "0", "--dice", HOSTILE], {}, 3),
])
def test_any_other_error_is_one_printable_line(program, arguments, variables, code):
    got, lines = run_with(program, *arguments, **variables)
    assert got == code and len(lines) == 1 and lines[0].isprintable() and len(lines[0]) < 1000, lines
