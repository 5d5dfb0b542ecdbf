"""The files of stack/ agree with each other and, if available, with the upstream charts; its scripts reject invalid input."""

import os
import pathlib
import re
import shutil
import subprocess
import time

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
    for name in ("bash", "dirname", "awk", "sed", "cat", "basename", "grep", "mkdir", "sha256sum", "cut", "sleep", "tac"):
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


NODE_PORTS = {int(node): int(port) for node, port in re.findall(r"mapped (\d+) (\d+)", (STACK / "up.sh").read_text())}


def test_cluster_maps_the_node_ports():
    control_plane, _ = yaml.safe_load((STACK / "kind.yaml").read_text())["nodes"]
    assert all(one["listenAddress"] == "127.0.0.1" for one in control_plane["extraPortMappings"])
    assert {one["containerPort"]: one["hostPort"] for one in control_plane["extraPortMappings"]} == NODE_PORTS == {30840: 8400, 30300: 3000}


@pytest.fixture
def up(tmp_path):
    """Starts a copy of up.sh with an existing cluster `dice`; returns the process and a function for the commands it has run."""
    shutil.copytree(STACK, tmp_path / "project/stack")
    (tmp_path / "bin").mkdir()
    log = tmp_path / "commands"
    log.touch()
    started = []

    def start(docker_port):
        record = f'echo "${{0##*/}} $*" >>{log}\n'
        path = programs(tmp_path / "bin", **{name: record + text for name, text in {
            "docker": f"case $1 in port) {docker_port};; image) echo sha256:1;; esac",
            "kind": '[ "$2" != clusters ] || echo dice',
            "helm": "exit 0",
            "kubectl": "case $* in *port-forward*) exec sleep 60;; esac; echo somewhere",
            "make": "echo dice/frontend:1",
        }.items()})
        process = subprocess.Popen([tmp_path / "project/stack/up.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env={"PATH": path, "CHARTS": str(tmp_path / "charts")})
        started.append(process)
        return process, lambda: log.read_text().splitlines()

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def command(commands, *parts):
    return [one for one in commands if all(part in one for part in parts)]


def test_page_and_grafana_by_node_port(up):
    process, commands = up("[ $3 = 30840/tcp ] && echo 127.0.0.1:8400 || echo 127.0.0.1:3000")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "http://localhost:8400" in output and "http://localhost:3000" in output
    assert command(commands(), "helm upgrade --install dice", "canary.enabled=true", "externalService.enabled=true", "externalService.type=NodePort",
                   "externalService.nodePort=30840")
    assert command(commands(), "helm upgrade --install kps", "grafana.service.type=NodePort,grafana.service.nodePort=30300")
    assert not command(commands(), "port-forward") and not command(commands(), "kind create")


def test_page_and_grafana_by_port_forward(up):
    process, commands = up("exit 1")
    deadline = time.monotonic() + 60
    while len(command(commands(), "port-forward")) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is not None and "of this machine is in use" in (output := process.communicate()[0]):
        pytest.skip(f"not tested: {output.strip()}")
    assert command(commands(), "port-forward service/dice-frontend 8400:8400")
    assert command(commands(), "--namespace monitoring port-forward service/kps-grafana 3000:80")
    assert not command(commands(), "nodePort")
