#!/usr/bin/env python3
"""The root folder of a container image: one program, the libraries that it loads, CA certificates.

usage: image_root.py PROGRAM ROOT

Works for programs of other architectures, too. Beside the folder, ROOT.packages lists what is in it for the software bill of
materials: a line per file with its path, size in bytes, and the Debian package and version that it is from.
"""

import pathlib
import re
import shutil
import subprocess
import sys

CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


def read_elf(path):
    """(architecture's folder of libraries, loader or None, names of libraries) of a program or a library."""
    text = subprocess.run(["readelf", "--file-header", "--program-headers", "--dynamic", path], capture_output=True, text=True,
                          check=True).stdout
    machine = re.search(r"Machine:\s+(.*)", text)[1]
    triplet = {"Advanced Micro Devices X86-64": "x86_64-linux-gnu", "AArch64": "aarch64-linux-gnu"}[machine]
    loader = re.search(r"Requesting program interpreter: (.*?)\]", text)
    return triplet, loader and loader[1], re.findall(r"\(NEEDED\)\s+Shared library: \[(.*?)\]", text)


def libraries(program):
    """The files that the loader maps for `program`, itself first."""
    triplet, loader, wanted = read_elf(program)
    found = {pathlib.Path(loader)}
    while wanted:
        name = wanted.pop()
        paths = [path for folder in ("/usr/lib", "/lib") if (path := pathlib.Path(folder, triplet, name)).exists()]
        if not paths:
            sys.exit(f"image_root.py: no library {name} for {triplet}")
        if paths[0] not in found and paths[0].name not in {one.name for one in found}:
            found.add(paths[0])
            wanted += read_elf(paths[0])[2]
    return sorted(found)


def package_of(path):
    """(name, version) of the Debian package that a file is from."""
    # /lib is a link to /usr/lib, and packages know either name.
    for candidate in (path, path.resolve(), pathlib.Path(str(path).removeprefix("/usr"))):
        owner = subprocess.run(["dpkg-query", "--search", candidate], capture_output=True, text=True)
        if owner.returncode == 0:
            name = owner.stdout.partition(": ")[0].split(",")[0]
            return name, subprocess.run(["dpkg-query", "-Wf", "${Version}", name], capture_output=True, text=True, check=True).stdout
    sys.exit(f"image_root.py: {path} is from no package")


def main():
    program, root = map(pathlib.Path, sys.argv[1:])
    lines = []

    def add(source, target, package):
        inside = root / target.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, inside)
        inside.chmod(0o755 if package[0] == "dice" or ".so" in target.name else 0o644)
        lines.append("\t".join([str(target), str(inside.stat().st_size), *package]))

    add(program, pathlib.Path("/usr/bin", program.name), ("dice", "-"))
    for library in libraries(program):
        add(library, library, package_of(library))
    # Made at installation from what the package has.
    add(CERTIFICATES, CERTIFICATES, package_of(pathlib.Path("/usr/sbin/update-ca-certificates")))
    pathlib.Path(f"{root}.packages").write_text("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()
