#!/usr/bin/env python3
"""Creates the root folder of a container image: one program, the libraries that it loads, CA certificates.

usage: image_root.py PROGRAM ROOT

Works for programs of other architectures, too. The origin of the files is recorded where scanners look for it in images without
a package manager: /var/lib/dpkg/status.d has a paragraph for each Debian package and the checksums of its files. Prints the size
of each package.
"""

import collections
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys

CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


def read_elf(path):
    """(library folder of the architecture, loader or None, names of libraries) of a program or a library."""
    text = subprocess.run(["readelf", "--file-header", "--program-headers", "--dynamic", path], capture_output=True, text=True,
                          check=True).stdout
    machine = re.search(r"Machine:\s+(.*)", text)[1]
    triplet = {"Advanced Micro Devices X86-64": "x86_64-linux-gnu", "AArch64": "aarch64-linux-gnu"}[machine]
    loader = re.search(r"Requesting program interpreter: (.*?)\]", text)
    return triplet, loader and loader[1], re.findall(r"\(NEEDED\)\s+Shared library: \[(.*?)\]", text)


def libraries(program):
    """The files that the loader maps for `program`, starting with the program."""
    triplet, loader, wanted = read_elf(program)
    found = {pathlib.Path(loader).name: pathlib.Path(loader)}
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        paths = [path for folder in ("/usr/lib", "/lib") if (path := pathlib.Path(folder, triplet, name)).exists()]
        if not paths:
            sys.exit(f"image_root.py: no library {name} for {triplet}")
        found[name] = paths[0]
        wanted += read_elf(paths[0])[2]
    return sorted(found.values())


def package_of(path):
    """Name of the Debian package that a file belongs to, with the architecture if needed."""
    # /lib is a link to /usr/lib, and packages use either name.
    for candidate in (path, path.resolve(), pathlib.Path(str(path).removeprefix("/usr"))):
        owner = subprocess.run(["dpkg-query", "--search", candidate], capture_output=True, text=True)
        owners = [line for line in owner.stdout.splitlines() if not line.startswith("diversion by ")]
        if owners:
            return owners[0].partition(": ")[0].split(",")[0]
    sys.exit(f"image_root.py: {path} is from no package")


def describe(package):
    """The paragraph of a package in dpkg's format."""
    fields = ("Package", "Status", "Architecture", "Source", "Version", "Maintainer", "Homepage")
    form = "".join(f"{field}: ${{{field}}}\n" for field in fields)
    text = subprocess.run(["dpkg-query", "--show", f"--showformat={form}", package], capture_output=True, text=True, check=True).stdout
    return "".join(line for line in text.splitlines(keepends=True) if not line.endswith(": \n"))


def main():
    program, root = map(pathlib.Path, sys.argv[1:])
    files = collections.defaultdict(list)  # by package

    def add(source, target, package):
        inside = root / target.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, inside)
        inside.chmod(0o755 if inside.parent.name == "bin" or ".so" in target.name else 0o644)
        files[package].append(inside)

    add(program, pathlib.Path("/usr/bin", program.name), None)
    for library in libraries(program):
        add(library, library, package_of(library))
    # Generated when its package is installed.
    add(CERTIFICATES, CERTIFICATES, package_of(pathlib.Path("/usr/sbin/update-ca-certificates")))
    add(pathlib.Path("/etc/os-release"), pathlib.Path("/usr/lib/os-release"), package_of(pathlib.Path("/usr/lib/os-release")))
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")

    status = root / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    for package, owned in files.items():
        if package:
            name = package.partition(":")[0]
            (status / name).write_text(describe(package))
            sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in sorted(owned)]
            (status / f"{name}.md5sums").write_text("".join(sums))
    sizes = sorted(((sum(path.stat().st_size for path in owned), package or "itself") for package, owned in files.items()), reverse=True)
    print(f"{program.name}: {sum(size for size, _ in sizes) / 1e6:.1f} MB: " + ", ".join(f"{name} {size / 1e6:.1f}" for size, name in sizes))


if __name__ == "__main__":
    main()
