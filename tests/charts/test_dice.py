"""Die specifications: shipped, given as values, given as a file."""

import yaml

from conftest import CHART, ROOT, deployment, environment, pod, render


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
    # A subPath would never be updated.
    assert "subPath" not in mount and volume == {"name": mount["name"], "configMap": {"name": "dice-die-service"}}
    assert environment(spec)["DIE_SPECIFICATIONS"] == mount["mountPath"] + "/dice.yaml"
