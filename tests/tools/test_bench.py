"""What make bench says about its own figures, and where it writes them."""

import pathlib
import sys
import xml.etree.ElementTree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import picture  # noqa: E402
import report  # noqa: E402
import throughput  # noqa: E402


@pytest.mark.parametrize("busy, stolen, ours, expected", [
    (50, 0, 45, ""), (50, 0, 60, ""), (50, 0, 30, "other programs took 20%"), (50, 3, 50, "the host 3%"), (99, 1, 95, "")])
def test_a_busy_machine_is_named(monkeypatch, busy, stolen, ours, expected):
    """In 100 s of processor time, this many were busy, stolen and ours."""
    readings = iter([(1000, 500, 5, 7), (1100, 500 + busy, 5 + stolen, 7 + ours)])
    monkeypatch.setattr(report.Watch, "read", staticmethod(lambda: next(readings)))
    said = report.Watch().disturbance()
    assert expected in said and bool(said) == bool(expected)


def test_the_own_work_is_not_a_disturbance():
    watch = report.Watch()
    used = watch.read()[3]
    while report.Watch.read()[3] < used + 0.2:
        pass
    total, busy, _, ours = (now - then for now, then in zip(watch.read(), watch.start))
    assert total > 0.1 and busy > 0 and ours >= 0.2


def test_only_the_results_are_replaced(monkeypatch, tmp_path):
    for name in ("PAGE", "PICTURE", "JSON"):
        monkeypatch.setattr(report, name, tmp_path / name)
    report.PAGE.write_text("# Title\n<!-- results -->\nold\n<!-- end: results -->\nlast\n")
    report.publish(["new \\1"], {"machine": "this"}, "<svg/>")
    assert report.PAGE.read_text() == "# Title\n<!-- results -->\n```text\nnew \\1\n```\n<!-- end: results -->\nlast\n"
    assert report.PICTURE.read_text() == "<svg/>" and '"machine": "this"' in report.JSON.read_text()


def test_the_picture_has_a_bar_per_variant_and_a_curve_per_load():
    variant = {"times_bare": dict.fromkeys(throughput.CASES, 0.5)}
    fan_out = {f"{rolls} {at_once}": {"rolls": rolls, "at_once": at_once, "overhead_p99_milliseconds": rolls}
               for rolls in (1, 20, 100) for at_once in (1, 10)}
    curve = {factor: {"accepted_per_second": 400} for factor in (1, 10)}
    drawn = xml.etree.ElementTree.fromstring(picture.draw({
        "machine": "this", "disturbances": {}, "throughput": {throughput.ON: variant, "a < b": variant, throughput.BARE: {}}, "fan-out": fan_out,
        "capacity": {"curve": curve}}))
    tags = [one.tag.partition("}")[2] for one in drawn.iter()]
    assert tags.count("polyline") == 3
    assert tags.count("rect") == 1 + 2 * len(throughput.CASES) + 2 + 3  # background, bars, keys
    assert "a < b" in [one.text for one in drawn.iter()]
