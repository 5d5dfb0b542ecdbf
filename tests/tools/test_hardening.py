"""The built files have the protection that CMakeLists.txt asks for."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402

BIN = contract.default_bin().resolve()
PROGRAMS = [*contract.services(BIN), "loadgen"]
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
