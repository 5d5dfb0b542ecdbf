"""The files of stack/ agree with each other and, if available, with the upstream charts; its scripts reject invalid input."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml
from conftest import KUBERNETES, ROOT, helm

STACK = ROOT / "stack"
CHARTS = pathlib.Path(os.environ.get("CHARTS", ROOT / "build/stack"))
RELEASES = [line.split() for line in (STACK / "charts.txt").read_text().splitlines() if not line.startswith("#")]
IMAGES = (STACK / "images.txt").read_text().splitlines()


def test_every_release_has_a_chart_and_values():
    assert all(len(fields) == 4 for fields in RELEASES)
    assert sorted(fields[0] for fields in RELEASES) == sorted(path.stem for path in (STACK / "values").glob("*.yaml"))
    for _, _, version, repository in RELEASES:
        assert re.fullmatch(r"\d+\.\d+\.\d+", version) and repository.startswith("https://")


def test_images_are_pinned_and_sorted():
    assert IMAGES == sorted(set(IMAGES))
    for image in IMAGES:
        assert re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", image) and not image.endswith(":latest"), image


@pytest.fixture(scope="module")
def rendered():
    """{release: its objects}"""
    missing = [f"{chart}-{version}.tgz" for _, chart, version, _ in RELEASES if not (CHARTS / f"{chart}-{version}.tgz").exists()]
    if missing:
        pytest.skip(f"charts of the stack not tested: {CHARTS} has no {missing[0]}; make stack-images fetches them, or CHARTS=DIR")
    result = {}
    for release, chart, version, _ in RELEASES:
        made = helm("template", release, CHARTS / f"{chart}-{version}.tgz", "--namespace", "monitoring",
                    "--kube-version", KUBERNETES, "--values", STACK / f"values/{release}.yaml")
        assert made.returncode == 0, made.stderr
        # Upstream charts repeat keys, which is not our problem.
        result[release] = [one for one in yaml.safe_load_all(made.stdout) if one]
    return result


def images(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "image" and isinstance(inner, str):
                yield inner
            yield from images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from images(inner)
    # The operator adds it to Prometheus' pod.
    elif isinstance(value, str) and value.startswith("--prometheus-config-reloader="):
        yield value.partition("=")[2]


def test_images_are_those_of_the_charts(rendered):
    assert IMAGES == sorted(set(images(list(rendered.values()))))


def only(objects, kind, name):
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def ports(objects, name):
    return {port["port"] for port in only(objects, "Service", name)["spec"]["ports"]}


def test_addresses_for_the_services_are_those_of_the_charts(rendered):
    dice = yaml.safe_load((STACK / "dice.yaml").read_text())["telemetry"]
    everything = [one for objects in rendered.values() for one in objects]
    for url in dice.values():
        name, port = re.fullmatch(r"http://([\w-]+)\.monitoring\.svc:(\d+)", url).groups()
        assert int(port) in ports(everything, name), url
    name, port = re.search(r"forward monitoring (\S+) 3000:(\d+)", (STACK / "up.sh").read_text()).groups()
    assert int(port) in ports(everything, name)


def test_data_sources_link_to_each_other(rendered):
    config = only(rendered["kps"], "ConfigMap", "kps-kube-prometheus-stack-grafana-datasource")
    (text,) = config["data"].values()
    sources = {one["uid"]: one.get("jsonData", {}) for one in yaml.safe_load(text)["datasources"]}
    assert set(sources) == {"prometheus", "loki", "tempo"}
    assert sources["prometheus"]["exemplarTraceIdDestinations"][0]["datasourceUid"] == "tempo"
    assert sources["loki"]["derivedFields"][0]["datasourceUid"] == "tempo"
    assert sources["tempo"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert sources["tempo"]["tracesToMetrics"]["datasourceUid"] == "prometheus"
    assert sources["tempo"]["serviceMap"]["datasourceUid"] == "prometheus"


def test_the_agent_keeps_our_settings(rendered):
    """The preset defines its own receiver, and merges ours only if the name is the same."""
    config = yaml.safe_load(only(rendered["otel-logs"], "ConfigMap", "otel-logs-agent")["data"]["relay"])
    (receiver,) = config["receivers"].values()
    assert receiver["include"] == ["/var/log/pods/dice_*/*/*.log"]
    assert receiver["start_at"] == "beginning" and receiver["storage"] == "file_storage"
    assert [one["type"] for one in receiver["operators"]] == ["container", "json_parser", "severity_parser", "trace_parser", "remove"]
    assert config["service"]["pipelines"].keys() == {"logs"}


def programs(folder, **texts):
    """A PATH with what the scripts need and these programs."""
    for name in ("bash", "dirname", "awk", "sed", "cat", "basename"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


WORKING = {"helm": "exit 0", "kubectl": "echo somewhere"}


@pytest.mark.parametrize("arguments, environment, there, said", [
    (["instal"], {}, WORKING, "action=instal is unknown; allowed: install, remove"),
    ([], {"LOG_SHIPPER": "fluentd"}, WORKING, "LOG_SHIPPER=fluentd is unknown; allowed: collector, alloy"),
    ([], {"GRAFANA": "no"}, WORKING, "GRAFANA=no is unknown; allowed: true, false"),
    ([], {"NAMESPACE": "a,b"}, WORKING, "NAMESPACE=a,b is not a namespace; allowed: a-z, 0-9 and, inside, -"),
    ([], {}, {"kubectl": "exit 0"}, "helm is missing: install it and add it to PATH"),
    ([], {}, {"helm": "exit 0"}, "kubectl is missing: install it and add it to PATH"),
    ([], {}, {"helm": "exit 0", "kubectl": "[ $1 = config ] && echo far || exit 1"}, "the cluster of kubectl's context far is not reachable"),
    ([], {}, {"helm": "exit 0", "kubectl": "exit 1"}, "kubectl has no current cluster: kubectl config current-context is empty"),
])
def test_install_refuses_in_one_line(tmp_path, arguments, environment, there, said):
    made = subprocess.run([STACK / "install.sh", *arguments], capture_output=True, text=True, timeout=30,
                          env={"PATH": programs(tmp_path, **there), **environment})
    assert (made.returncode, made.stderr.splitlines()) == (1, [said])


@pytest.mark.parametrize("missing", ["docker", "kind", "helm", "kubectl"])
def test_up_names_what_is_missing(tmp_path, missing):
    there = {name: "exit 0" for name in ("docker", "kind", "helm", "kubectl") if name != missing}
    made = subprocess.run([STACK / "up.sh"], capture_output=True, text=True, timeout=30, env={"PATH": programs(tmp_path, **there)})
    assert (made.returncode, made.stderr.splitlines()) == (1, [f"{missing} is missing: install it and add it to PATH"])
