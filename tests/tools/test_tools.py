"""tools/: progress output, reproducible releases, and error messages."""

import hashlib
import importlib.util
import io
import json
import os
import pathlib
import pty
import subprocess
import sys
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NINJA = "[1/20] Building CXX object services/CMakeFiles/base.dir/utf8.cc.o\n[20/20] Linking CXX executable bin/frontend\n"
APT = "dlstatus:3:41.5:Retrieving file 3 of 40 (5s remaining)\npmstatus:cmake:50:Unpacking cmake (amd64)\n"

spec = importlib.util.spec_from_file_location("release", ROOT / "tools/release.py")
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)


def progress(text):
    return subprocess.run([ROOT / "tools/progress.sh"], input=text, capture_output=True, text=True, check=True).stdout


def test_progress_is_a_line_now_and_then():
    assert progress(NINJA) == "  1/20 utf8.cc\n"  # within five seconds
    assert progress(APT) == "  41 % Retrieving file 3 of 40 (5s remaining)\n"
    assert progress("[56] k8s.io/client-go/rest\n") == "  56 k8s.io/client-go/rest\n"
    assert progress("ninja: no work to do.\n") == ""


def test_progress_lets_errors_through():
    error = "a.cc:1:1: error: [x] is not\n  1 | \\n %s\n"
    assert progress(NINJA + error) == "  1/20 utf8.cc\n" + error


def test_progress_on_a_terminal_is_one_line_that_goes():
    main, terminal = pty.openpty()
    subprocess.run([ROOT / "tools/progress.sh"], input=NINJA + APT, stdout=terminal, text=True, check=True)
    os.close(terminal)
    shown = os.read(main, 10000).decode()
    os.close(main)
    assert "\n" not in shown and shown.endswith("\r\033[K")
    assert [line.removeprefix("\033[K") for line in shown.split("\r")[1:-1]] == \
        ["  1/20 utf8.cc", "  20/20 frontend", "  41 % Retrieving file 3 of 40 (5s remaining)", "  50 % Unpacking cmake (amd64)"]


@pytest.mark.parametrize("arguments, words", [
    (("setup.sh", "tests"), "unknown group 'tests'; allowed: test, lint, fuzz, image"),
    (("setup.sh", "image", "riscv64"), "unknown architecture 'riscv64'; allowed: amd64, arm64"),
    (("go-tool.sh", "kubectl"), "unknown tool 'kubectl'; allowed: helm, kustomize, oras"),
    (("release.py", "", "1.2.3"), "make release REGISTRY=… VERSION=…: both are needed, such as REGISTRY=registry.example.com/acme VERSION=1.2.3"),
    (("release.py", "localhost:1", "0.0.1"), "release.py: VERSION=0.0.1, but charts/dice/Chart.yaml says "),
])
def test_mistakes_are_told(arguments, words):
    python = [sys.executable] if arguments[0].endswith(".py") else []  # the Python with tests/requirements.txt, as in make release
    done = subprocess.run([*python, ROOT / "tools" / arguments[0], *arguments[1:]], capture_output=True, text=True)
    assert done.returncode != 0 and done.stderr.startswith(words), done.stderr


def file(name, data=b"x", **more):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def test_an_archive_is_the_same_whenever_whoever_made_it():
    one = release.archive([file("b", mtime=1, uid=7, uname="me"), file("a", mode=0o755)], 1000)
    other = release.archive([file("a", mode=0o755, mtime=2, gid=3), file("b", gname="us")], 1000)
    assert one == other
    with tarfile.open(fileobj=io.BytesIO(one)) as tar:
        assert [(entry.name, entry.mtime, entry.uid, entry.gid, entry.mode) for entry in tar] == [("a", 1000, 0, 0, 0o755), ("b", 1000, 0, 0, 0o644)]


def test_a_layout_holds_what_its_digests_say(tmp_path):
    layout = release.Layout(tmp_path)
    manifest = layout.manifest(layout.json({"a": 1}, "x/config"), [layout.blob(b"layer", "x/layer")])
    layout.add(manifest, "1.2.3")
    (listed,) = json.loads((tmp_path / "index.json").read_text())["manifests"]
    assert listed["annotations"] == {"org.opencontainers.image.ref.name": "1.2.3"}
    for blob in (tmp_path / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert json.loads((tmp_path / "blobs" / listed["digest"].replace(":", "/")).read_text())["layers"][0]["size"] == 5


def test_a_bill_of_materials_has_each_package_of_the_image():
    status = b"Package: libstdc++6\nArchitecture: arm64\nSource: gcc-14\nVersion: 14.2.0-19\n"
    entries = [file("var/lib/dpkg/status.d/libstdc++6", status), file("var/lib/dpkg/status.d/libstdc++6.md5sums"), file("usr/bin/frontend")]
    bill = release.bill_of_materials("dice/frontend", "1.2.3", list(release.packages_of(entries)), "2026-01-01T00:00:00Z", "sha256:0")
    image, package = bill["packages"]
    assert (image["name"], image["versionInfo"]) == ("dice/frontend", "1.2.3")
    assert (package["SPDXID"], package["versionInfo"]) == ("SPDXRef-libstdc--6", "14.2.0-19")
    assert package["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=arm64&distro=debian-13"
    assert {"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-libstdc--6"} in bill["relationships"]


def test_a_file_of_no_package_is_told():
    known = [file("usr/lib/liba.so"), file("var/lib/dpkg/status.d/a.md5sums", hashlib.md5(b"x").hexdigest().encode() + b"  usr/lib/liba.so\n")]
    release.check_origins("frontend", [*known, file("usr/bin/frontend")])
    for stranger in (file("usr/lib/libb.so"), file("usr/bin/sh"), file("usr/lib/liba.so", b"other")):
        with pytest.raises(release.Failure, match=stranger[0].name):
            release.check_origins("frontend", [*known, stranger])
