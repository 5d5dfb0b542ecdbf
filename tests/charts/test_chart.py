"""What the chart renders, and what it refuses."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import pytest
import yaml

import generate
from conftest import CHART, KUBERNETES, ROOT, documents, environment, helm, refusal, render, sets
from renderings import EVERYTHING, RENDERINGS, STACK

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
COMPONENT = "app.kubernetes.io/component"
BIN = pathlib.Path(os.environ.get("DICE_BIN", ROOT / "build/release/bin"))
SERVICES = {"frontend": "dice-frontend", "dice-roller": "dice-roller", "die-service": "dice-die-service"}
OWN = {"frontend": "frontend", "diceRoller": "dice-roller", "dieService": "die-service"}
PORTS = {"frontend": (8400, 9400), "dice-roller": (8401, 9401), "die-service": (8402, 9402)}
FREE = ("commonLabels", "resourceAttributes", "env", "resources", "podSecurityContext", "securityContext", "annotations", "podLabels",
        "podAnnotations", "nodeSelector", "affinity", "labels", "specifications")

every_rendering = pytest.mark.parametrize("values", RENDERINGS.values(), ids=RENDERINGS)


def deployment(objects, component):
    return objects.one("Deployment", SERVICES[component])


def pod(objects, component):
    return deployment(objects, component)["spec"]["template"]


def variables(objects, component):
    return environment(pod(objects, component)["spec"])


def value_file(folder, values):
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return ("--values", str(file))


def leaves(values, path=()):
    """(path, value) of everything that is no map with keys of the chart's own."""
    for key, value in values.items():
        if isinstance(value, dict) and key not in FREE and key not in ("startup", "liveness", "readiness"):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


# --- form ------------------------------------------------------------------------------------------------------------


@every_rendering
def test_lint(values):
    linted = helm("lint", "--strict", "--kube-version", KUBERNETES, *sets(values), str(CHART))
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_version_is_written_once():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"]
    assert f"\n## {chart['version']}\n" in (ROOT / "CHANGELOG.md").read_text()
    for program in (*SERVICES, "loadgen"):
        said = subprocess.run([BIN / program, "--version"], capture_output=True, text=True, check=True).stdout
        assert said.split()[0] == chart["version"]


@every_rendering
def test_labels(values):
    wanted = {"name", "instance", "part-of", "version", "managed-by"}
    for one in render(*values, "commonLabels.team=dice"):
        labels = one["metadata"]["labels"]
        assert {f"app.kubernetes.io/{name}" for name in wanted} <= set(labels), one["metadata"]["name"]
        assert labels["helm.sh/chart"].startswith("dice-") and labels["team"] == "dice"
    for owner, metadata, _ in render(*values, "commonLabels.team=dice").pods():
        assert metadata["labels"]["team"] == "dice", owner


def test_own_labels_win():
    """Selectors rely on them."""
    labels = pod(render(r"commonLabels.app\.kubernetes\.io/component=x", r"podLabels.app\.kubernetes\.io/name=x"), "frontend")["metadata"]["labels"]
    assert labels[COMPONENT] == "frontend" and labels["app.kubernetes.io/name"] == "dice"


@pytest.mark.parametrize("release, frontend", [
    ("dice", "dice-frontend"),
    ("my-dice", "my-dice-frontend"),
    ("games", "games-dice-frontend"),
    ("r" * 53, "r" * 44 + "-frontend"),
])
def test_names(release, frontend):
    objects = render(*EVERYTHING, release=release)
    assert ("Deployment", frontend) in objects.ids()
    assert len(objects.ids()) == len(objects)
    for kind, name in objects.ids():
        assert len(name) <= {"CronJob": 52, "ConfigMap": 253}.get(kind, 63), f"{kind} {name}"


def test_everything_is_in_the_namespace_of_the_release():
    assert {one["metadata"]["namespace"] for one in render(*EVERYTHING, namespace="games")} == {"games"}


# --- switches --------------------------------------------------------------------------------------------------------

ALL = tuple(SERVICES.values())
SWITCHES = {
    "serviceAccount.create": ((), {("ServiceAccount", name) for name in (*ALL, "dice-loadgen")}),
    "podDisruptionBudget.enabled": ((), {("PodDisruptionBudget", name) for name in ALL}),
    "autoscaling.enabled": ((), {("HorizontalPodAutoscaler", name) for name in ALL}),
    "networkPolicy.enabled": ((), {("NetworkPolicy", name) for name in (*ALL, "dice-loadgen")}),
    "tests.enabled": ((), {("Pod", "dice-verify"), ("ServiceAccount", "dice-loadgen"), ("NetworkPolicy", "dice-loadgen")}),
    "loadgen.job.enabled": ((), {("Job", "dice-loadgen-1")}),
    "loadgen.cronjob.enabled": ((), {("CronJob", "dice-loadgen")}),
    "serviceMonitor.enabled": ((), {("ServiceMonitor", "dice")}),
    "ingress.enabled": ((), {("Ingress", "dice-frontend")}),
    "httpRoute.enabled": (("httpRoute.parentRefs[0].name=public",), {("HTTPRoute", "dice-frontend")}),
    "frontend.externalService.enabled": ((), {("Service", "dice-frontend-external")}),
    # Those that render files are tested below, with files of the test's own.
    "prometheusRule.enabled": None,
    "dashboards.enabled": None,
}


def test_every_switch_is_tested():
    switches = {".".join(path) for path, _ in leaves(VALUES) if path[-1] in ("enabled", "create")}
    assert switches == set(SWITCHES)


@pytest.mark.parametrize("switch", [name for name, case in SWITCHES.items() if case])
def test_switch(switch):
    more, wanted = SWITCHES[switch]
    on, off = render(f"{switch}=true", *more).ids(), render(f"{switch}=false", *more).ids()
    assert on - off == wanted and not off - on


def test_nothing_of_the_load_generator_when_it_is_off():
    assert not [name for _, name in render("tests.enabled=false").ids() if "loadgen" in name]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, wanted", [
    ("replicaCount=-1", "replicaCount"),
    ("frontend.replicaCount=-1", "frontend/replicaCount"),
    ("replicaCount=1.5", "replicaCount"),
    ("diceRoller.strategy=most", "diceRoller/strategy"),
    ("diceRoller.maxAsyncRolls=0", "maxAsyncRolls"),
    ("diceRoller.seed=-2", "seed"),
    ("diceRoller.rollDelaySeconds.max=61", "rollDelaySeconds/max"),
    ("diceRoller.rollDelaySeconds.max=soon", "rollDelaySeconds/max"),
    ("logLevel=all", "logLevel"),
    ("dieService.logLevel=all", "dieService/logLevel"),
    ("shutdown.delaySeconds=601", "delaySeconds"),
    ("telemetry.otlpEndpoint=collector:4318", "otlpEndpoint"),
    ("grafana.url=grafana", "grafana/url"),
    ("telemetry.resourceAttributes.team=a\\,b", "team"),
    ("image.digest=sha256:0", "digest"),
    ("frontend.image.digest=sha256:0", "frontend/image/digest"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("env.LOG_LEVEL.secret=x", "env/LOG_LEVEL"),
    ("dieService.specifications._x.faces={1}", "_x"),
    ("dieService.specifications.x.faces={}", "faces"),
    ("dieService.specifications.x.error_rate=0.1", "faces"),
    ("dieService.specifications.x.rate=1", "rate"),
    ("ingress.hosts:=[]", "ingress/hosts"),
    ("loadgen.replicaCount=2", "replicaCount"),
    ("frontend.externalService.type=ClusterIP", "externalService/type"),
])
def test_value_is_refused_by_its_name(value, wanted):
    assert wanted.replace("/", ".") in refusal(value).replace("/", ".")  # the path as Helm 3.18 writes it, and as it did before


MAPS = sorted({path[:length] for path, value in leaves(VALUES) for length in range(len(path))})


@pytest.mark.parametrize("path", MAPS, ids=".".join)
def test_misspelt_key_is_refused_by_its_name(path):
    # Helm words it in one of two ways, before and after 3.18.
    assert re.search("roperty mispelt is not allowed|roperties 'mispelt' not allowed", refusal(".".join((*path, "mispelt")) + "=1"))


@pytest.mark.parametrize("values, wanted", [
    (("diceRoller.rollDelaySeconds.min=2",), "diceRoller.rollDelaySeconds.max (1) must be at least min (2)"),
    (("diceRoller.maxRollThreads=10",), "diceRoller.maxAsyncRolls (20) must be at most maxRollThreads (10)"),
    (("autoscaling.enabled=true", "autoscaling.minReplicas=9"), "autoscaling.maxReplicas (5) of frontend must be at least minReplicas (9)"),
    (("httpRoute.enabled=true",), "httpRoute.parentRefs is empty"),
    (("dieService.specifications.x.faces={1}", "dieService.specificationsFile=x"), "only one of dieService.specifications and dieService.specificationsFile"),
    (("dieService.specificationsFile=fair: [",), "dieService.specificationsFile"),
])
def test_values_that_do_not_fit_each_other_are_refused(values, wanted):
    assert wanted in refusal(*values)


def test_schema_knows_the_values_and_no_others():
    def resolved(schema):
        return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def known(schema, path=()):
        for key, below in schema.get("properties", {}).items():
            below = resolved(below)
            if "properties" in below and key not in FREE and key not in ("startup", "liveness", "readiness"):
                yield from known(below, (*path, key))
            else:
                yield (*path, key)

    shared = set(SCHEMA["properties"]["frontend"]["properties"]) & set(SCHEMA["properties"]["dieService"]["properties"])
    paths = {path for path in known(SCHEMA)
             if path != ("global",) and not (path[0] in (*OWN, "loadgen") and path[1] in shared - {"env"}) and path[1:] != ("env",)}
    assert paths == {path for path, _ in leaves(VALUES) if path != ("loadgen", "env")}
    for own in OWN:
        assert shared <= set(SCHEMA["properties"][own]["properties"])
    assert shared <= set(SCHEMA["properties"])


def test_schema_is_closed():
    def check(schema, path):
        if isinstance(schema, dict):
            if "properties" in schema and "type" in schema:
                assert schema.get("additionalProperties") is False, path
            for key, below in schema.items():
                check(below, f"{path}/{key}")
    check(SCHEMA, "")


# --- shared values, and a service's own ------------------------------------------------------------------------------

OVERRIDES = {
    "image": "image.tag=x",
    "imagePullSecrets": "imagePullSecrets[0].name=x",
    "replicaCount": "replicaCount=0",
    "autoscaling": "autoscaling.enabled=true",
    "podDisruptionBudget": "podDisruptionBudget.enabled=false",
    "logLevel": "logLevel=debug",
    "env": "env.FAULTS_ENABLED=true",
    "shutdown": "shutdown.delaySeconds=0",
    "resources": "resources.limits.memory=1Gi",
    "probes": "probes.liveness.periodSeconds=99",
    "podSecurityContext": "podSecurityContext.fsGroup=1",
    "securityContext": "securityContext.privileged=false",
    "serviceAccount": "serviceAccount.create=false",
    "podLabels": "podLabels.x=y",
    "podAnnotations": "podAnnotations.x=y",
    "nodeSelector": "nodeSelector.x=y",
    "tolerations": "tolerations[0].operator=Exists",
    "affinity": "affinity.nodeAffinity.x=y",
    "topologySpreadConstraints": "topologySpreadConstraints:=[]",
    "priorityClassName": "priorityClassName=high",
}


def of(objects, component):
    return [one for one in objects if one["metadata"]["labels"].get(COMPONENT) == component and one["kind"] != "Pod"]


def test_every_shared_value_is_tested():
    own = SCHEMA["properties"]
    shared = set(own["frontend"]["properties"]) & set(own["dieService"]["properties"])
    assert set(OVERRIDES) == shared


@pytest.mark.parametrize("key", OVERRIDES)
def test_shared_value_counts_for_all_and_own_for_one(key):
    value = OVERRIDES[key]
    default, shared, own = render(), render(value), render(f"dieService.{value}")
    for component in SERVICES:
        assert of(shared, component) != of(default, component), component
    assert of(own, "die-service") == of(shared, "die-service")
    for component in ("frontend", "dice-roller"):
        assert of(own, component) == of(default, component), component


def test_own_value_wins_over_shared_even_when_it_is_zero_or_false():
    objects = render("replicaCount=3", "frontend.replicaCount=0", "autoscaling.enabled=true", "frontend.autoscaling.enabled=false")
    assert deployment(objects, "frontend")["spec"]["replicas"] == 0
    assert "replicas" not in deployment(objects, "dice-roller")["spec"]


def test_maps_are_merged():
    resources = pod(render("dieService.resources.limits.memory=1Gi"), "die-service")["spec"]["containers"][0]["resources"]
    assert resources == {"requests": VALUES["resources"]["requests"], "limits": {"memory": "1Gi"}}


# --- pods ------------------------------------------------------------------------------------------------------------


def restricted_violations(spec):
    """Of the restricted Pod Security Standard, and of what this chart promises beyond it."""
    of_pod = spec.get("securityContext", {})
    if spec.get("automountServiceAccountToken") is not False:
        yield "token"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}:
            yield f"volume {volume['name']}"
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        both = {**of_pod, **own}
        if own.get("privileged"):
            yield "privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or not set(own["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}:
            yield "capabilities"
        if both.get("runAsNonRoot") is not True:
            yield "runAsNonRoot"
        if not both.get("runAsUser"):
            yield "runAsUser"
        if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield "seccompProfile"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "readOnlyRootFilesystem"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "hostPort"
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
            yield "resources"


@every_rendering
def test_pods_are_restricted(values):
    for owner, _, spec in render(*values).pods():
        assert not list(restricted_violations(spec)), owner


def test_all_kinds_of_pods_are_among_the_renderings():
    owners = {owner for values in RENDERINGS.values() for owner, _, _ in render(*values).pods()}
    assert {"Deployment dice-frontend", "Deployment dice-roller", "Deployment dice-die-service",
            "Pod dice-verify", "Job dice-loadgen-1", "CronJob dice-loadgen"} <= owners


@pytest.mark.parametrize("value, violation", [
    ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot"),
    ("podSecurityContext.runAsUser=0", "runAsUser"),
    ("podSecurityContext.seccompProfile.type=Unconfined", "seccompProfile"),
    ("securityContext.allowPrivilegeEscalation=true", "allowPrivilegeEscalation"),
    ("securityContext.privileged=true", "privileged"),
    ("securityContext.readOnlyRootFilesystem=false", "readOnlyRootFilesystem"),
    ("securityContext.capabilities.drop={NET_RAW}", "capabilities"),
    ("resources.limits.memory=null", "resources"),
])
def test_what_is_not_restricted_is_seen(value, violation):
    pods = list(render(value, "loadgen.job.enabled=true", "loadgen.cronjob.enabled=true").pods())
    assert len(pods) == 6
    for owner, _, spec in pods:
        assert violation in list(restricted_violations(spec)), owner


@pytest.mark.parametrize("delay, grace, flush", [(5, 30, 5), (0, 0, 0), (0.5, 0.2, 1.5), (60, 600, 30)])
def test_grace_period_of_the_pod_holds_the_whole_stop(delay, grace, flush):
    objects = render(f"shutdown.delaySeconds={delay}", f"shutdown.graceSeconds={grace}", f"shutdown.flushSeconds={flush}")
    for component in SERVICES:
        spec, env = pod(objects, component)["spec"], variables(objects, component)
        assert [float(env[f"SHUTDOWN_{phase}_SECONDS"]) for phase in ("DELAY", "GRACE", "FLUSH")] == [delay, grace, flush]
        # docs/configuration.md: then at most about 5 s for the last spans.
        assert delay + grace + flush + 1 < spec["terminationGracePeriodSeconds"] < delay + grace + flush + 10


def test_rollout_never_has_fewer_pods_than_wanted():
    for one in render().kind("Deployment"):
        assert one["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}


def test_replicas_are_spread_by_their_own_labels():
    for component in SERVICES:
        template = pod(render(), component)
        (constraint,) = template["spec"]["topologySpreadConstraints"]
        labels = constraint["labelSelector"]["matchLabels"]
        assert labels[COMPONENT] == component and labels.items() <= template["metadata"]["labels"].items()
    (constraint,) = pod(render("topologySpreadConstraints[0].topologyKey=zone", "topologySpreadConstraints[0].labelSelector.matchLabels.a=b"),
                        "frontend")["spec"]["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "zone" and constraint["labelSelector"]["matchLabels"]["a"] == "b"


@pytest.mark.parametrize("values, image", [
    ((), "dice/frontend:3.0.0"),
    (("image.registry=ghcr.io/acme/",), "ghcr.io/acme/dice/frontend:3.0.0"),
    (("image.tag=v4",), "dice/frontend:v4"),
    (("image.tag=v4", "frontend.image.tag=v5", "frontend.image.registry=r:5000", "frontend.image.repository=a/b"), "r:5000/a/b/frontend:v5"),
    (("frontend.image.tag=v5", f"frontend.image.digest=sha256:{'a' * 64}"), f"dice/frontend@sha256:{'a' * 64}"),
])
def test_image(values, image):
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert pod(render(*values), "frontend")["spec"]["containers"][0]["image"] == image.replace("3.0.0", version)


def test_every_program_has_its_image():
    images = {spec["containers"][0]["image"].split("/")[1].split(":")[0] for _, _, spec in render(*EVERYTHING).pods()}
    stages = set(re.findall(r"^FROM base AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert images == stages


# --- what belongs together -------------------------------------------------------------------------------------------


def chosen(objects, selector):
    """The components of the pods that a selector's labels choose."""
    return {metadata["labels"][COMPONENT] for _, metadata, _ in objects.pods() if selector.items() <= metadata["labels"].items()}


@every_rendering
def test_selectors_choose_the_pods_of_their_own_component(values):
    objects = render(*values)
    for one in objects:
        component, spec = one["metadata"]["labels"].get(COMPONENT), one.get("spec", {})
        if one["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert chosen(objects, spec["selector"]["matchLabels"]) == {component}
        elif one["kind"] == "Service":
            assert chosen(objects, spec["selector"]) == {component}
        elif one["kind"] == "NetworkPolicy":
            assert chosen(objects, spec["podSelector"]["matchLabels"]) == {component}
        elif one["kind"] == "HorizontalPodAutoscaler":
            target = objects.one(spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
            assert target["metadata"]["labels"][COMPONENT] == component and "replicas" not in target["spec"]


@every_rendering
def test_ports_that_are_named_exist(values):
    objects = render(*values)
    pods = {metadata["labels"][COMPONENT]: spec for _, metadata, spec in objects.pods()}
    services = {one["metadata"]["name"]: {port["name"]: port["port"] for port in one["spec"]["ports"]} for one in objects.kind("Service")}
    for one in objects.kind("Service"):
        ports = {port["name"]: port["containerPort"] for port in pods[one["metadata"]["labels"][COMPONENT]]["containers"][0]["ports"]}
        assert all(port["targetPort"] in ports for port in one["spec"]["ports"])
        if one["spec"]["type"] == "ClusterIP":
            assert services[one["metadata"]["name"]] == ports == dict(zip(("http", "metrics"), PORTS[one["metadata"]["labels"][COMPONENT]]))
    for one in objects.kind("Ingress"):
        for rule in one["spec"]["rules"]:
            backend = rule["http"]["paths"][0]["backend"]["service"]
            assert backend["port"]["name"] in services[backend["name"]]
    for one in objects.kind("HTTPRoute"):
        (backend,) = one["spec"]["rules"][0]["backendRefs"]
        assert backend["port"] == services[backend["name"]]["http"]
    inside = 0
    for owner, _, spec in objects.pods():
        for name, value in environment(spec).items():
            if name.endswith("_URL") and name not in ("TEMPO_URL", "GRAFANA_URL") or name == "LOADGEN_METRICS":
                for address in value.split(","):
                    url = urlsplit(address)
                    assert url.port in services[url.hostname].values(), f"{owner}: {name}={value}"
                    inside += 1
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in spec["containers"][0]:
                assert spec["containers"][0][probe]["httpGet"]["port"] in {port["name"] for port in spec["containers"][0]["ports"]}
    assert inside >= 5


def test_frontend_reaches_both_services_by_the_right_ports():
    env = variables(render(), "frontend")
    assert (env["DICE_ROLLER_URL"], env["DICE_ROLLER_METRICS_URL"]) == ("http://dice-roller:8401", "http://dice-roller:9401")
    assert (env["DIE_SERVICE_URL"], env["DIE_SERVICE_METRICS_URL"]) == ("http://dice-die-service:8402", "http://dice-die-service:9402")
    assert variables(render(), "dice-roller")["DIE_SERVICE_URL"] == "http://dice-die-service:8402"


def test_only_the_page_is_for_those_outside():
    external = render("frontend.externalService.enabled=true").one("Service", "dice-frontend-external")
    assert external["spec"]["type"] == "LoadBalancer" and [port["targetPort"] for port in external["spec"]["ports"]] == ["http"]
    for component in SERVICES:
        assert variables(render(), component)["METRICS_ON_MAIN_PORT"] == "false"


def test_ways_in():
    objects = render("ingress.enabled=true", "ingress.className=nginx", "ingress.hosts={a.example.com,b.example.com}",
                     "ingress.tls[0].secretName=t", "ingress.annotations.x=y", "httpRoute.enabled=true",
                     "httpRoute.parentRefs[0].name=public", "httpRoute.hostnames={c.example.com}", "httpRoute.annotations.x=y")
    ingress, route = objects.one("Ingress", "dice-frontend"), objects.one("HTTPRoute", "dice-frontend")
    assert ingress["spec"]["ingressClassName"] == "nginx" and ingress["spec"]["tls"] == [{"secretName": "t"}]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["a.example.com", "b.example.com"]
    assert route["spec"]["parentRefs"] == [{"name": "public"}] and route["spec"]["hostnames"] == ["c.example.com"]
    assert ingress["metadata"]["annotations"] == route["metadata"]["annotations"] == {"x": "y"}


# --- environment and telemetry ---------------------------------------------------------------------------------------


def known_variables(section):
    page = (ROOT / "docs/configuration.md").read_text()
    table = page.split(f"<!-- generated: {section} -->")[1].split(f"<!-- end: {section} -->")[0]
    names = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert names
    return names


@every_rendering
def test_variables_exist(values):
    for owner, metadata, spec in render(*values).pods():
        component = metadata["labels"][COMPONENT]
        names = {name for name in environment(spec) if not name.startswith("K8S_")}
        if component == "loadgen":
            program = BIN / "loadgen"
            text = subprocess.run([program, spec["containers"][0]["args"][0], "--help"], capture_output=True, text=True, check=True).stdout
            known = set(re.findall(r"Env:(\w+)", text)) | known_variables("common")
            assert len(known) > 25
        else:
            known = known_variables("common") | known_variables(component)
        assert names <= known, f"{owner}: {names - known}"


def test_values_reach_the_variables_that_their_comments_name():
    """Each value whose comment begins with a variable's name changes that variable, and where it counts."""
    named = [(key, default, re.match(r"`([A-Z_]+)`", meaning)) for key, default, meaning in generate.chart_values((CHART / "values.yaml").read_text())]
    cases = [(key, default, match[1]) for key, default, match in named if match]
    assert len(cases) >= 15
    other = {"info": "warn", "all-or-nothing": "best-effort"}
    for key, default, name in cases:
        value = other.get(default) or str(float(default) + 1).removesuffix(".0")
        if key == "diceRoller.rollDelaySeconds.min":
            value = "0.5"
        component = OWN.get(key.split(".")[0], "frontend")
        assert variables(render(), component)[name] == default, key
        assert variables(render(f"{key}={value}"), component)[name] == value, key
    assert variables(render("diceRoller.maxAsyncRolls=7"), "frontend")["MAX_ASYNC_ROLLS"] == "7"


def test_numbers_are_written_in_full(tmp_path):
    values = {"env": {"OTEL_BSP_MAX_QUEUE_SIZE": 1000000, "FAULTS_ENABLED": True, "LOG_LEVEL": "debug"}, "dieService": {"specifications": {"x": {"faces": [1000000]}}}}
    objects = render(arguments=value_file(tmp_path, values))
    env = variables(objects, "die-service")
    assert (env["OTEL_BSP_MAX_QUEUE_SIZE"], env["FAULTS_ENABLED"], env["LOG_LEVEL"]) == ("1000000", "true", "debug")
    assert objects.one("ConfigMap", "dice-die-service")["data"]["dice.yaml"].split() == ["x:", "faces:", "-", "1000000"]


def test_variable_from_a_secret(tmp_path):
    source = {"secretKeyRef": {"name": "otlp", "key": "headers"}}
    env = variables(render(arguments=value_file(tmp_path, {"env": {"OTEL_EXPORTER_OTLP_HEADERS": {"valueFrom": source}}})), "frontend")
    assert env["OTEL_EXPORTER_OTLP_HEADERS"] == source


@every_rendering
def test_telemetry_says_who_speaks(values):
    for owner, metadata, spec in render(*values, r"telemetry.resourceAttributes.deployment\.environment\.name=staging").pods():
        component, env = metadata["labels"][COMPONENT], environment(spec)
        assert env["OTEL_SERVICE_NAME"] == metadata["annotations"]["resource.opentelemetry.io/service.name"] == component
        attributes = dict(pair.split("=") for pair in env["OTEL_RESOURCE_ATTRIBUTES"].split(","))
        assert {"service.namespace", "service.instance.id", "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.node.name"} <= set(attributes)
        assert attributes["deployment.environment.name"] == "staging" and attributes["k8s.container.name"] == spec["containers"][0]["name"]
        assert attributes.get("k8s.deployment.name", owner.split()[1]) == owner.split()[1]
        # A reference works for a variable that is defined before.
        names = list(env)
        for name, value in env.items():
            for reference in re.findall(r"\$\((\w+)\)", value if isinstance(value, str) else ""):
                assert names.index(reference) < names.index(name)


def test_spans_are_exported_where_an_address_is_given():
    for _, _, spec in render("loadgen.job.enabled=true").pods():
        assert environment(spec)["OTEL_TRACES_EXPORTER"] == "none" and "OTEL_EXPORTER_OTLP_ENDPOINT" not in environment(spec)
    for _, _, spec in render(*EVERYTHING).pods():
        assert environment(spec)["OTEL_TRACES_EXPORTER"] == "otlp"
        assert environment(spec)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-gateway.monitoring.svc:4318"
    env = variables(render(*STACK), "frontend")
    assert (env["TEMPO_URL"], env["GRAFANA_URL"]) == ("http://tempo.monitoring.svc.cluster.local:3200", "https://grafana.example.com")
    assert not {"TEMPO_URL", "GRAFANA_URL"} & set(variables(render(), "frontend"))


def test_service_monitor_gives_three_jobs():
    objects = render("serviceMonitor.enabled=true", "serviceMonitor.labels.release=kps", "serviceMonitor.interval=5s",
                     "frontend.externalService.enabled=true")
    monitor = objects.one("ServiceMonitor", "dice")
    (endpoint,) = monitor["spec"]["endpoints"]
    jobs = [one["metadata"]["labels"][monitor["spec"]["jobLabel"]] for one in objects.kind("Service")
            if monitor["spec"]["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
            and endpoint["port"] in [port["name"] for port in one["spec"]["ports"]]]
    assert sorted(jobs) == sorted(SERVICES)
    assert monitor["metadata"]["labels"]["release"] == "kps" and endpoint["interval"] == "5s"


# --- the load generator ----------------------------------------------------------------------------------------------


def test_job_and_cron_job_make_traffic():
    objects = render("loadgen.job.enabled=true", "loadgen.cronjob.enabled=true", "loadgen.env.LOADGEN_USERS=3", "loadgen.job.ttlSecondsAfterFinished=9")
    cron = objects.one("CronJob", "dice-loadgen")["spec"]
    assert (cron["schedule"], cron["concurrencyPolicy"]) == ("*/5 * * * *", "Forbid")
    assert cron["successfulJobsHistoryLimit"] == cron["failedJobsHistoryLimit"] == 3
    job = objects.one("Job", "dice-loadgen-1")["spec"]
    assert job["ttlSecondsAfterFinished"] == 9
    for one in (job, cron["jobTemplate"]["spec"]):
        spec = one["template"]["spec"]
        assert one["backoffLimit"] == 0 and spec["restartPolicy"] == "Never"
        assert spec["containers"][0]["args"] == ["traffic"]
        env = environment(spec)
        assert (env["LOADGEN_URL"], env["LOADGEN_USERS"]) == ("http://dice-frontend:8400", "3") and float(env["LOADGEN_WAIT"]) > 0


METRICS = "http://dice-frontend:9400,http://dice-roller:9401,http://dice-die-service:9402"
LOOKS = ("LOADGEN_TEMPO", "LOADGEN_PROMETHEUS", "LOADGEN_LOKI", "LOADGEN_METRICS")


@pytest.mark.parametrize("values, arguments, looks", [
    ((), [], (None, None, None, METRICS)),
    (STACK, [], ("http://tempo.monitoring.svc.cluster.local:3200", "http://prometheus.monitoring.svc:9090", "http://loki.monitoring.svc:3100", None)),
    (("telemetry.lokiUrl=http://loki:3100",), [], (None, None, "http://loki:3100", METRICS)),
    # Behind a Service of several replicas no pod has all counters and spans.
    (("replicaCount=2",), ["--answers-only"], (None, None, None, None)),
    (("diceRoller.autoscaling.enabled=true",), ["--answers-only"], (None, None, None, None)),
    (("dieService.replicaCount=2", "telemetry.tempoUrl=http://tempo:3200"), [], ("http://tempo:3200", None, None, None)),
])
def test_helm_test_verifies_what_can_be_seen(values, arguments, looks):
    pod_of_test = render(*values).one("Pod", "dice-verify")
    assert pod_of_test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod_of_test["spec"]["restartPolicy"] == "Never"
    assert pod_of_test["spec"]["containers"][0]["args"] == ["verify", "--shared", *arguments]
    env = environment(pod_of_test["spec"])
    assert env["LOADGEN_URL"] == "http://dice-frontend:8400"
    assert tuple(env.get(name) for name in LOOKS) == looks


# --- die specifications ----------------------------------------------------------------------------------------------


def specifications(*values, arguments=()):
    return render(*values, arguments=arguments).one("ConfigMap", "dice-die-service")["data"]["dice.yaml"]


def test_shipped_dice_are_the_services():
    assert (CHART / "dice.yaml").read_text() == (ROOT / "services/die-service/dice.yaml").read_text()
    assert specifications() == (CHART / "dice.yaml").read_text()


def test_dice_as_values():
    assert yaml.safe_load(specifications("dieService.specifications.d20.faces={1,20}", "dieService.specifications.d20.error_rate=0.5")) == {
        "d20": {"faces": [1, 20], "error_rate": 0.5}}


def test_dice_as_a_file(tmp_path):
    text = "# mine\nzwei: {faces: [2]}\neins: {faces: [1]}\n"
    (tmp_path / "dice.yaml").write_text(text)
    assert specifications(arguments=("--set-file", f"dieService.specificationsFile={tmp_path / 'dice.yaml'}")) == text


def test_dice_are_read_again_without_a_restart():
    before, after = render(), render("dieService.specifications.d20.faces={20}")
    assert deployment(before, "die-service") == deployment(after, "die-service")
    spec = pod(after, "die-service")["spec"]
    (mount,), (volume,) = spec["containers"][0]["volumeMounts"], spec["volumes"]
    # A subPath would never be renewed.
    assert "subPath" not in mount and volume == {"name": mount["name"], "configMap": {"name": "dice-die-service"}}
    assert environment(spec)["DIE_SPECIFICATIONS"] == mount["mountPath"] + "/dice.yaml"


# --- network ---------------------------------------------------------------------------------------------------------

STRANGERS = {
    "stray": ("dice", {"app": "stray"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "collector": ("monitoring", {"app": "collector"}),
    "tempo": ("monitoring", {"app": "tempo"}),
    "internet": (None, {}),
}


class Network:
    """Who reaches whom by these policies. Namespaces have their name as label, as in every cluster."""

    def __init__(self, objects):
        self.policies = objects.kind("NetworkPolicy")
        self.pods = dict(STRANGERS)
        for _, metadata, _ in objects.pods():
            self.pods[metadata["labels"][COMPONENT]] = ("dice", metadata["labels"])

    @staticmethod
    def selects(selector, labels):
        assert set(selector) <= {"matchLabels"}
        return selector.get("matchLabels", {}).items() <= labels.items()

    def is_peer(self, peer, name):
        assert set(peer) <= {"namespaceSelector", "podSelector"}
        namespace, labels = self.pods[name]
        if namespace is None:
            return False
        if "namespaceSelector" not in peer:
            inside = namespace == "dice"
        else:
            inside = self.selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
        return inside and self.selects(peer.get("podSelector", {}), labels)

    def allows(self, name, direction, other, port):
        namespace, labels = self.pods[name]
        rules = [policy["spec"] for policy in self.policies if namespace == "dice" and self.selects(policy["spec"]["podSelector"], labels)]
        rules = [spec for spec in rules if direction.capitalize() in spec["policyTypes"]]
        ends = "from" if direction == "ingress" else "to"
        return not rules or any(
            any(one["port"] == port and one["protocol"] == "TCP" for one in rule["ports"])
            and (ends not in rule or any(self.is_peer(peer, other) for peer in rule[ends]))
            for spec in rules for rule in spec.get(direction, []))

    def reaches(self, source, target, port):
        return self.allows(source, "egress", target, port) and self.allows(target, "ingress", source, port)

    def all(self, allowed):
        """(source, target, port) for which `allowed`, each of our own ports at each of our own pods."""
        return {(source, target, port) for source in self.pods for target in PORTS for port in OWN_PORTS
                if source != target and allowed(source, target, port)}


INSIDE = {
    *(("frontend", "dice-roller", port) for port in PORTS["dice-roller"]),
    *(("frontend", "die-service", port) for port in PORTS["die-service"]),
    ("dice-roller", "die-service", 8402),
    *(("loadgen", "frontend", port) for port in PORTS["frontend"]),
    ("loadgen", "dice-roller", 9401),
    ("loadgen", "die-service", 9402),
    *(("prometheus", component, PORTS[component][1]) for component in PORTS),
}
OWN_PORTS = [port for ports in PORTS.values() for port in ports]


def test_only_what_the_design_draws_gets_through():
    """And each end sees to it by itself: who may go out is let in, and the other way round."""
    network = Network(render())
    strangers = {(name, "frontend", 8400) for name in STRANGERS}
    everyone = {(name, "frontend", 8400) for name in network.pods if name != "frontend"}
    assert network.all(network.reaches) == INSIDE | strangers
    assert network.all(lambda source, target, port: network.allows(target, "ingress", source, port)) == INSIDE | everyone
    own = network.all(lambda source, target, port: source not in STRANGERS and network.allows(source, "egress", target, port))
    assert own == {one for one in INSIDE if one[0] not in STRANGERS}


def test_without_policies_everyone_gets_everywhere():
    """So what is found above is the policies' doing."""
    network = Network(render("networkPolicy.enabled=false"))
    assert ("stray", "die-service", 8402) in network.all(network.reaches)


def test_page_and_scrape_for_some_only():
    peer = "namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=monitoring"
    network = Network(render(f"networkPolicy.frontendFrom[0].{peer}", "networkPolicy.scrapeFrom[0].podSelector.matchLabels.app=stray"))
    assert network.reaches("collector", "frontend", 8400) and network.reaches("loadgen", "frontend", 8400)
    assert not network.reaches("stray", "frontend", 8400) and not network.reaches("internet", "frontend", 8400)
    assert network.reaches("stray", "die-service", 9402) and not network.reaches("prometheus", "die-service", 9402)


def egress(objects, component):
    name = "dice-loadgen" if component == "loadgen" else SERVICES[component]
    return objects.one("NetworkPolicy", name)["spec"]["egress"]


def outside(objects, component):
    """Ports, without DNS, towards others than our own pods."""
    return {rule["ports"][0]["port"] for rule in egress(objects, component)
            if rule["ports"][0]["port"] != 53 and not any(COMPONENT in peer.get("podSelector", {}).get("matchLabels", {}) for peer in rule.get("to", []))}


def test_telemetry_gets_out():
    objects = render(*STACK)
    assert {name: outside(objects, name) for name in (*SERVICES, "loadgen")} == {
        "frontend": {4318, 3200}, "dice-roller": {4318}, "die-service": {4318}, "loadgen": {4318, 3200, 9090, 3100}}
    assert not any(outside(render(), name) for name in (*SERVICES, "loadgen"))
    for component in (*SERVICES, "loadgen"):
        ports = egress(render(), component)[0]
        assert ports == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


@pytest.mark.parametrize("url, port, to", [
    ("http://collector.monitoring.svc:4318", 4318, [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]),
    ("http://collector.monitoring.svc.cluster.local", 80, [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]),
    ("http://collector:4318", 4318, [{"podSelector": {}}]),
    ("https://otlp.example.com", 443, None),
    ("http://10.0.0.7:4318", 4318, None),
])
def test_egress_follows_the_address(url, port, to):
    rule = egress(render(f"telemetry.otlpEndpoint={url}"), "die-service")[-1]
    assert rule == {"ports": [{"port": port, "protocol": "TCP"}], **({"to": to} if to else {})}


def test_more_egress():
    objects = render("networkPolicy.extraEgress[0].ports[0].port=55681")
    for component in (*SERVICES, "loadgen"):
        assert egress(objects, component)[-1] == {"ports": [{"port": 55681}]}


# --- rules and dashboards --------------------------------------------------------------------------------------------


@pytest.fixture
def chart(tmp_path):
    """A copy of the chart, without its rules and dashboards."""
    copy = tmp_path / "dice"
    shutil.copytree(CHART, copy)
    for folder in ("rules", "dashboards"):
        shutil.rmtree(copy / folder, ignore_errors=True)
        (copy / folder).mkdir()
    return copy


ON = ("prometheusRule.enabled=true", "dashboards.enabled=true")


def test_without_files_there_is_nothing(chart):
    assert not [one for one in render(*ON, chart=chart) if one["kind"] == "PrometheusRule" or "dashboard" in one["metadata"]["name"]]


def test_rules_become_one_prometheus_rule(chart):
    one = {"name": "a", "rules": [{"alert": "A", "expr": 'up{job="x"} == 0', "for": "1m", "annotations": {
        "summary": "{{ $labels.job }} {{ $value | humanize }}", "runbook_url": "$RUNBOOKS/A.md", "dashboard_url": "$GRAFANA/d/a"}}]}
    two = {"name": "b", "interval": "2m", "rules": [{"record": "b", "expr": "sum(a)"}]}
    (chart / "rules/1.yaml").write_text(yaml.safe_dump({"groups": [one]}))
    (chart / "rules/2.yaml").write_text("# two\ngroups:\n  - " + json.dumps(two) + "\n")
    rule = render(*ON, "prometheusRule.labels.release=kps", "grafana.url=https://g.example.com/", chart=chart).one("PrometheusRule", "dice")
    one["rules"][0]["annotations"].update(runbook_url="docs/runbooks/A.md", dashboard_url="https://g.example.com/d/a")
    assert rule["spec"] == {"groups": [one, two]} and rule["metadata"]["labels"]["release"] == "kps"
    rule = render(*ON, "prometheusRule.runbookUrl=https://r.example.com", chart=chart).one("PrometheusRule", "dice")
    assert rule["spec"]["groups"][0]["rules"][0]["annotations"]["runbook_url"] == "https://r.example.com/A.md"
    assert not render("prometheusRule.enabled=false", chart=chart).kind("PrometheusRule")


@pytest.mark.parametrize("text", ["groups: [", "rules: []", "groups: {}"])
def test_rule_file_that_is_none_is_named(chart, text):
    (chart / "rules/broken.yaml").write_text(text)
    assert "rules/broken.yaml" in refusal(*ON, chart=chart)


def test_each_dashboard_becomes_a_config_map(chart):
    text = '{\n  "title": "T",\n\n  "legend": "{{ job }} $__rate_interval"\n}\n'
    (chart / "dashboards/dice-one.json").write_text(text)
    (chart / "dashboards/dice-two.json").write_text("{}")
    (chart / "dashboards/notes.md").write_text("none")
    objects = render(*ON, "dashboards.folder=Games", "dashboards.label=board", "dashboards.labelValue=yes", chart=chart)
    found = [one for one in objects.kind("ConfigMap") if "board" in one["metadata"]["labels"]]
    assert [one["metadata"]["name"] for one in found] == ["dice-dashboard-dice-one", "dice-dashboard-dice-two"]
    assert found[0]["data"] == {"dice-one.json": text} and json.loads(found[1]["data"]["dice-two.json"]) == {}
    for one in found:
        assert one["metadata"]["labels"]["board"] == "yes" and one["metadata"]["annotations"] == {"grafana_folder": "Games"}
    (default, _) = [one for one in render(*ON, chart=chart).kind("ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    assert default["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert not [name for _, name in render("dashboards.enabled=false", chart=chart).ids() if "dashboard" in name]


def test_own_files_are_all_in():
    objects = render(*ON)
    names = {f"dice-dashboard-{file.stem}" for file in (CHART / "dashboards").glob("*.json")}
    assert {name for kind, name in objects.ids() if kind == "ConfigMap" and "dashboard" in name} == names
    groups = [group["name"] for file in sorted((CHART / "rules").glob("*.yaml")) for group in yaml.safe_load(file.read_text())["groups"]]
    assert [group["name"] for one in objects.kind("PrometheusRule") for group in one["spec"]["groups"]] == groups


# --- what people read ------------------------------------------------------------------------------------------------


def test_table_of_values_is_fresh():
    page = (CHART / "README.md").read_text()
    assert generate.render_chart(page) == page, "charts/dice/README.md is out of date: run docs/generate.py"


def test_table_of_values_has_them_all():
    table = {tuple(key.split(".")): yaml.safe_load(default) for key, default, _ in generate.chart_values((CHART / "values.yaml").read_text())}
    assert table == dict(leaves(VALUES))


def notes(chart, *values):
    """What helm says after an install. It renders NOTES.txt for a real install only."""
    text = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/notes.yaml").write_text(
        '{{- define "notes" -}}\n' + text + '\n{{- end }}\nkind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n')
    return render(*values, chart=chart, namespace="games").one("Notes", "notes")["text"]


@pytest.mark.parametrize("values, said, unsaid", [
    ((), ["kubectl --namespace games port-forward service/dice-frontend 8400", "helm --namespace games test dice"], ["replica"]),
    (("tests.enabled=false",), ["port-forward"], ["helm"]),
    (("ingress.enabled=true", "ingress.tls[0].secretName=x"), ["https://dice.local/"], ["port-forward"]),
    (("replicaCount=2",), ["traces on the page are incomplete"], ["no metrics"]),
    (("replicaCount=2", "telemetry.tempoUrl=http://tempo:3200"), ["checks no metrics"], ["gaps"]),
    (("replicaCount=2", *STACK), [], ["replica"]),
])
def test_notes_say_what_to_type_next(chart, values, said, unsaid):
    text = notes(chart, *values)
    assert all(part in text for part in said) and not any(part in text for part in unsaid), text
