"""The chart alone on a real cluster: install, faults, restarts, and leftovers."""

import json
import subprocess

import pytest

from cluster import (CHART, DEPLOYMENTS, NAMESPACE, RELEASE, REPLICAS, ROOT, SERVICES, URL, CommandFailed, Counters, Job, forwarded,
                     get, helm, helm_test, identities, install, kubectl, objects, pods, ready, scale, summary_of, total, uninstall, version,
                     wait_for, whole)

FAST = ("--set", "diceRoller.rollDelaySeconds.max=0.3")


@pytest.fixture(scope="module", autouse=True)
def installed(namespace, say):
    took = install(*FAST)
    say(f"helm install --wait into a namespace that enforces restricted: {took:.1f} s")
    yield took
    uninstall()


@pytest.fixture
def page(installed):
    with forwarded("dice-frontend", 8400) as address:
        yield address


def test_ready_within_30_seconds(installed):
    assert installed < 30


def test_images_are_small_and_without_a_shell(say):
    sizes = {}
    for name in (*SERVICES, "loadgen"):
        done = subprocess.run(["docker", "image", "inspect", "--format", "{{.Size}} {{.Config.User}}", f"dice/{name}:{version()}"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip("docker has not got the images")
        size, user = done.stdout.split()
        sizes[name] = int(size) / 1e6
        assert user == "65532:65532"
    say("images: " + ", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items()))
    assert max(sizes.values()) <= 40
    with pytest.raises(CommandFailed, match="(no such file|not found)"):
        kubectl("exec", f"deployment/{DEPLOYMENTS['frontend']}", "--", "sh", "-c", "true")


def test_helm_test_passes(say):
    output = helm_test()
    say("helm test: " + next(line for line in output.splitlines() if "All passed" in line))
    assert "Phase:          Succeeded" in output


def test_the_page_and_a_batch_with_its_trace(page):
    status, body, headers = get(f"{page}/")
    assert status == 200 and "<title>" in body and "script-src" in headers["Content-Security-Policy"]
    status, body, _ = get(f"{page}/roll-async?die=fair&times=10")
    answer = json.loads(body)
    assert status == 200 and answer["count"] == 10 and sum(answer["rolls"]) == answer["total"]

    def spans():
        trace = json.loads(get(f"{page}/api/traces/{answer['trace_id']}")[1])
        return [span for resource in trace["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
    wait_for("the trace of ten has 15 spans", lambda: len(spans()) == 15, 10)


@pytest.mark.parametrize("service", SERVICES)
def test_a_deleted_pod_loses_no_request(service, say):
    load = Job("steady", "traffic", "--url", URL, "--rate", 20, "--duration", 25, "--wait", 30, "--json")
    load.wait_until_running()
    before = pods(service)[0]["metadata"]["name"]
    kubectl("delete", "pod", before, "--wait=false")
    wait_for("another pod is ready and the deleted one is gone", lambda: before not in [
        one["metadata"]["name"] for one in objects("pods", "--selector", f"app.kubernetes.io/component={service}")] and
        all(ready(one) for one in pods(service)), 60)
    assert load.running(), "the load ended before the pod was gone"
    no_failure(load, f"a deleted pod of {service}", say)


def no_failure(load, what, say):
    code, output = load.result(90)
    summary = summary_of(output)
    say(f"{what} under 20 requests a second: {summary['requests']} requests, {summary['unexpected_failures']} failed")
    assert code == 0, output
    assert summary["requests"] > 400


def test_without_die_service(page, say):
    before = identities() - {(one["metadata"]["uid"], 0) for one in pods("die-service")}
    scale("die-service", 0)

    def refused():
        status, body, headers = get(f"{page}/roll?die=fair")
        return status in (502, 503) and json.loads(body)["error"]["code"] == "circuit_open" and headers["Retry-After"]
    _, took = wait_for("rolls are refused by the open breaker", refused, 90)
    status, body, _ = get(f"{page}/roll?die=fair")
    assert status in (502, 503) and json.loads(body)["error"]["message"]
    say(f"die-service at 0 replicas: {status} {body.strip()}")
    # Each pod has its own breaker. The page reaches only one of them as long as its connection lasts.
    with Counters("dice-roller") as rollers:
        wait_for("a breaker's gauge is 2", lambda: total(rollers.read("die_service_circuit_breaker_state")) >= 2, 10)
    scale("die-service", REPLICAS)
    wait_for("die-service is ready", lambda: whole("die-service"), 60)
    _, took = wait_for("rolls work again", lambda: all(get(f"{page}/roll?die=fair")[0] == 200 for _ in range(5)), 10)
    say(f"rolls work {took:.1f} s after die-service is ready again")
    assert before <= identities(), "something was restarted"


@pytest.mark.parametrize("address", ["http://dice-die-service:8402", "http://dice-roller:8401"])
def test_a_stray_pod_reaches_nobody_but_the_page(address):
    def exit_code(url):
        return Job("stray", "traffic", "--url", url, "--list-only", "--users", 1, "--rolls", 1, "--timeout", 5,
                   component="stray").result(60)[0]
    assert exit_code(URL) == 0
    assert exit_code(address) == 3


def test_a_new_die_without_a_restart(page, tmp_path, say):
    dice = tmp_path / "dice.yaml"
    dice.write_text((ROOT / "services/die-service/dice.yaml").read_text() + "\nseven: {faces: [7]}\n")
    before = identities()
    install(*FAST, "--set-file", f"dieService.specificationsFile={dice}")
    _, took = wait_for("the new die is rolled", lambda: json.loads(get(f"{page}/roll?die=seven")[1])["roll"] == 7, 150)
    say(f"a new die is rolled {took:.0f} s after helm upgrade")
    assert identities() == before, "a pod was restarted"


def test_rollback_and_uninstall_leave_nothing(say):
    install(*FAST, "--set", f"frontend.replicaCount={REPLICAS + 1}")
    assert len(pods("frontend")) == REPLICAS + 1
    helm("rollback", RELEASE, "--wait")
    wait_for("as many frontends as before", lambda: whole("frontend"), 60)
    uninstall()
    kinds = kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    # Events remain; Endpoints and EndpointSlices are deleted shortly after their Service.
    kinds = [kind for kind in kinds if kind.split(".")[0] not in ("events", "endpoints", "endpointslices")]

    def left():
        found = json.loads(kubectl("get", ",".join(kinds), "--output=json", "--ignore-not-found") or '{"items": []}')["items"]
        names = {f"{one['kind']} {one['metadata']['name']}" for one in found}
        return names - {"ServiceAccount default", "ConfigMap kube-root-ca.crt"}

    def nothing():
        assert not left(), left()
        return True
    wait_for("nothing is left", nothing, 60)
    say("uninstall: nothing left behind")


@pytest.mark.parametrize("setting, named", [("replicaCuont=1", "replicaCuont"), ("replicaCount=-1", "replicaCount"),
                                            ("diceRoller.strategy=some", "strategy")])
def test_wrong_values_are_refused_by_name(setting, named):
    with pytest.raises(CommandFailed) as refused:
        helm("install", "refused", CHART, "--set", setting, "--dry-run=server")
    assert named in str(refused.value)
    assert "refused" not in helm("list", "--short", "--all").split()


def test_every_object_is_accepted_by_the_api_server():
    """Including those that are off by default; other modules test those of other projects' CRDs."""
    switches = ("loadgen.job", "loadgen.cronjob", "canary", "ingress", "frontend.externalService")
    rendered = helm("template", "everything", CHART, "--no-hooks", "--kube-version", "1.34.0", "--set", "loadgen.job.parallelism=3",
                    *(part for switch in switches for part in ("--set", f"{switch}.enabled=true")))
    kubectl("apply", "--dry-run=server", "--filename", "-", stdin=rendered)


def test_kustomize_overlays_are_accepted_by_the_api_server():
    for overlay in ("dev", "production"):
        rendered = kubectl("kustomize", ROOT / "kustomize/overlays" / overlay)
        kubectl("apply", "--dry-run=server", "--filename", "-", "--namespace", NAMESPACE,
                stdin=rendered.replace("namespace: dice\n", f"namespace: {NAMESPACE}\n"))
