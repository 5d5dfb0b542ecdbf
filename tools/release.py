#!/usr/bin/env python3
"""Builds a release and pushes it: images for amd64 and arm64, a bill of materials for each, the chart with their digests.

usage: release.py REGISTRY VERSION

The results are in build/release-VERSION: an OCI layout per artefact, checksums, the chart archive, the release notes. The same
commit gives the same digests as long as the distribution has the same packages: docker builds the layers' files, and this script
gives them fixed times, owners and order. Requires docker with BuildKit, and oras, which is built if it is missing.
"""

import gzip
import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.parse

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARCHITECTURES = ("amd64", "arm64")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
SPDX = "application/spdx+json"


class Failure(Exception):
    """An error with a message for the user."""


def run(*command):
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return done.stdout


def programs():
    """{program: its key in the chart's values}, such as dice-roller and diceRoller"""
    names = [image.removeprefix("dice/").rpartition(":")[0] for image in run("make", "image-names").decode().split()]
    return {name: re.sub("-(.)", lambda match: match[1].upper(), name) for name in names}


def git(*arguments):
    return run("git", *arguments).decode().strip()


class Layout:
    """An OCI image layout in a folder: https://github.com/opencontainers/image-spec/blob/main/image-layout.md"""

    def __init__(self, folder):
        self._folder = folder
        self._manifests = []
        (folder / "blobs/sha256").mkdir(parents=True)

    def blob(self, data, media_type, **more):
        """Stores the bytes; returns their descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        (self._folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data), **more}

    def json(self, document, media_type, **more):
        return self.blob(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), media_type, **more)

    def manifest(self, config, layers, **more):
        return self.json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, **more}, MANIFEST)

    def add(self, descriptor, tag=None):
        """Adds a descriptor to the layout's index."""
        self._manifests.append({**descriptor, **({"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {})})
        (self._folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (self._folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": self._manifests}))


def archive(entries, epoch):
    """A reproducible tar archive of [(TarInfo, bytes or None)], independent of the time and user of the build."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in sorted(entries, key=lambda entry: entry[0].name):
            info.mtime, info.uid, info.gid, info.uname, info.gname, info.pax_headers = epoch, 0, 0, "", "", {}
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def entries_of(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(info, tar.extractfile(info).read() if info.isfile() else None) for info in tar]


def built(program, architecture, version, commit):
    """(configuration, [entries of each layer]) of the image built by docker."""
    tag = f"dice-release/{program}:{architecture}"
    command = [ROOT / "tools/docker-build.sh", "--platform", f"linux/{architecture}", "--target", program, "--tag", tag,
               "--build-arg", f"VERSION={version}", "--build-arg", f"COMMIT={commit}"]
    if subprocess.run(command).returncode != 0:
        raise Failure(f"docker could not build {program} for {architecture}")
    with tarfile.open(fileobj=io.BytesIO(run("docker", "save", tag))) as saved:
        (manifest,) = json.load(saved.extractfile("manifest.json"))
        config = json.load(saved.extractfile(manifest["Config"]))
        return config["config"], [entries_of(saved.extractfile(name).read()) for name in manifest["Layers"]]


def packages_of(entries):
    """The Debian packages of an image, each as {field: value}."""
    for info, data in entries:
        if info.isfile() and "var/lib/dpkg/status.d/" in info.name and not info.name.endswith(".md5sums"):
            yield dict(line.split(": ", 1) for line in data.decode().splitlines())


def check_origins(program, entries):
    """Checks that each file of an image is ours, or an unchanged file of a listed package."""
    sums = {}
    for info, data in entries:
        if info.name.endswith(".md5sums"):
            sums.update(reversed(line.split("  ")) for line in data.decode().splitlines())
    for info, data in entries:
        ours = info.name in (f"usr/bin/{program}", "etc/dice/dice.yaml") or info.name.startswith("var/lib/dpkg/status.d/")
        if info.isfile() and not ours and sums.get(info.name) != hashlib.md5(data).hexdigest():
            raise Failure(f"the image of {program} has a file that belongs to no listed package: /{info.name}")


def bill_of_materials(image, version, packages, created, digest):
    """SPDX 2.3 as JSON: https://spdx.github.io/spdx-spec/v2.3/"""
    none = {"downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION"}
    listed = [{"SPDXID": "SPDXRef-image", "name": image, "versionInfo": version, "licenseDeclared": "Apache-2.0", **none}]
    for package in packages:
        name, number = (urllib.parse.quote(package[field], safe="") for field in ("Package", "Version"))
        url = f"pkg:deb/debian/{name}@{number}?arch={package['Architecture']}&distro=debian-13"
        listed.append({
            "SPDXID": "SPDXRef-" + re.sub("[^A-Za-z0-9.-]", "-", package["Package"]), "name": package["Package"],
            "versionInfo": package["Version"], "supplier": "Organization: Debian", "licenseDeclared": "NOASSERTION", **none,
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}]})
    related = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")] + [("SPDXRef-image", "CONTAINS", one["SPDXID"]) for one in listed[1:]]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{image} {version}",
        "documentNamespace": f"urn:oci:{image}@{digest}", "creationInfo": {"created": created, "creators": [f"Tool: dice-release-{version}"]},
        "packages": listed,
        "relationships": [{"spdxElementId": a, "relationshipType": how, "relatedSpdxElement": b} for a, how, b in related]}


class Release:
    def __init__(self, registry, version):
        self.registry = registry
        self.version = version
        self.commit = git("rev-parse", "--short=12", "HEAD")
        self.epoch = int(git("log", "-1", "--format=%ct"))
        self.created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.epoch))
        self.folder = ROOT / f"build/release-{version}"
        self.sums = []

    def check(self):
        chart = yaml.safe_load((ROOT / "charts/dice/Chart.yaml").read_text())
        if {chart["version"], chart["appVersion"]} != {self.version}:
            raise Failure(f"VERSION={self.version}, but charts/dice/Chart.yaml says {chart['version']} and {chart['appVersion']}")
        if changed := git("status", "--porcelain"):
            raise Failure(f"a release requires a clean checkout, but there are uncommitted changes:\n{changed}")
        notes = re.search(rf"^## {re.escape(self.version)}\n(.*?)(?=^## |\Z)", (ROOT / "CHANGELOG.md").read_text(), re.M | re.S)
        if not notes:
            raise Failure(f"CHANGELOG.md has no section '## {self.version}'")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "notes.md").write_text(notes[1].strip() + "\n")

    def image(self, program):
        """Builds and pushes the image; returns the digest of its index."""
        layout = Layout(self.folder / program)
        platforms = []
        for architecture in ARCHITECTURES:
            print(f"{program}, {architecture}", flush=True)
            config, layers = built(program, architecture, self.version, self.commit)
            archives = [archive(entries, self.epoch) for entries in layers]
            document = {
                "architecture": architecture, "os": "linux", "created": self.created, "config": config,
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(one).hexdigest() for one in archives]}}
            manifest = layout.manifest(
                layout.json(document, "application/vnd.oci.image.config.v1+json"),
                [layout.blob(gzip.compress(one, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for one in archives])
            platforms.append({**manifest, "platform": {"os": "linux", "architecture": architecture}})

            files = [entry for entries in layers for entry in entries]
            check_origins(program, files)
            packages = list(packages_of(files))
            bill = bill_of_materials(f"dice/{program}", self.version, packages, self.created, manifest["digest"])
            text = json.dumps(bill, indent=1).encode()
            self.write(f"{program}-{architecture}.spdx.json", text)
            layout.add(layout.manifest(
                layout.blob(b"{}", "application/vnd.oci.empty.v1+json"), [layout.blob(text, SPDX)],
                artifactType=SPDX, subject=manifest, annotations={"org.opencontainers.image.created": self.created}))
        index = layout.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": platforms}, INDEX)
        layout.add(index, self.version)
        self.push(program, f"dice/{program}")
        return index["digest"]

    def chart(self, digests):
        """Packages and pushes the chart, which references each image by its digest."""
        source = ROOT / "charts/dice"
        values = (source / "values.yaml").read_text().replace('\n  registry: ""\n', f"\n  registry: {json.dumps(self.registry)}\n", 1)
        for program, key in programs().items():
            values = values.replace(f"\n{key}:\n", f"\n{key}:\n  image: {{digest: {json.dumps(digests[program])}}}\n", 1)
        changed = yaml.safe_load(values)
        if changed["image"]["registry"] != self.registry or any(changed[key]["image"]["digest"] != digests[program] for program, key in programs().items()):
            raise Failure("charts/dice/values.yaml does not have the expected structure: image.registry, frontend, diceRoller, dieService, loadgen")
        entries = []
        for name in git("ls-files", "charts/dice").splitlines():
            data = values.encode() if name == "charts/dice/values.yaml" else (ROOT / name).read_bytes()
            info = tarfile.TarInfo("dice/" + str(pathlib.Path(name).relative_to("charts/dice")))
            info.size, info.mode = len(data), 0o644
            entries.append((info, data))
        package = gzip.compress(archive(entries, self.epoch), mtime=0)
        self.write(f"dice-{self.version}.tgz", package)

        about = yaml.safe_load((source / "Chart.yaml").read_text())
        layout = Layout(self.folder / "charts/dice")
        layout.add(layout.manifest(
            layout.json(about, "application/vnd.cncf.helm.config.v1+json"),
            [layout.blob(package, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
            annotations={"org.opencontainers.image.created": self.created, "org.opencontainers.image.title": about["name"],
                         "org.opencontainers.image.version": self.version, "org.opencontainers.image.description": about["description"]}),
                   self.version)
        self.push("charts/dice", "charts/dice")

    def write(self, name, data):
        (self.folder / name).write_bytes(data)
        self.sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")

    def push(self, layout, repository):
        oras = run("tools/go-tool.sh", "oras").decode().strip()
        # First the images, then the artefacts attached to them.
        for recursive in ([], ["--recursive"]):
            run(oras, "cp", *recursive, "--no-tty", "--from-oci-layout", f"{self.folder / layout}:{self.version}",
                f"{self.registry}/{repository}:{self.version}")

    def make(self):
        self.check()
        digests = {program: self.image(program) for program in programs()}
        self.chart(digests)
        self.write("digests.txt", "".join(f"{self.registry}/dice/{program}@{digest}\n" for program, digest in digests.items()).encode())
        (self.folder / "SHA256SUMS").write_text("".join(sorted(self.sums, key=lambda line: line.split()[1])))
        print((self.folder / "digests.txt").read_text(), end="")
        print(f"helm install dice oci://{self.registry}/charts/dice --version {self.version}")


def main():
    if len(sys.argv) != 3 or not all(sys.argv[1:]):
        sys.exit("make release REGISTRY=… VERSION=…: both are needed, such as REGISTRY=registry.example.com/acme VERSION=1.2.3")
    try:
        Release(sys.argv[1].rstrip("/"), sys.argv[2]).make()
    except Failure as failure:
        sys.exit(f"release.py: {failure}")


if __name__ == "__main__":
    main()
