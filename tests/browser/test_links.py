"""The page's address: what it keeps, and what it shows again."""

import json
import re
import subprocess

import pytest
from playwright.sync_api import expect

import contract
from states import ask, settle

LOADGEN = contract.default_bin() / "loadgen"


def shown(page):
    """What the page shows of a trace: the same from a link as after the roll."""
    return {"dice": [(die.get_attribute("data-state"), die.get_attribute("data-value")) for die in page.locator(".die").all()],
            "rows": page.eval_on_selector_all(".row", "rows => rows.map(row => [row.ariaLabel, row.ariaLevel, row.dataset.state])"),
            "title": page.inner_text("#run-title"), "verdict": page.inner_text("#verdict"), "id": page.inner_text("#trace-links code"),
            "bars": page.eval_on_selector_all(".bar", "bars => bars.map(bar => [bar.dataset.startMs, bar.dataset.endMs])")}


@pytest.mark.parametrize("how", [{"times": 5}, {"times": 6, "concurrency": 2}, {"die": "risky", "times": 8, "strategy": "first-success"}, {}])
def test_link_shows_the_same_in_a_fresh_browser(open_page, how):
    page = open_page()
    ask(page, **how)
    page.click("#roll")
    settle(page)
    fresh = open_page(search="?" + page.url.partition("?")[2])
    settle(fresh)
    assert shown(fresh) == shown(page)
    alone = open_page(search=f"?trace={page.inner_text('#trace-links code')}")
    settle(alone)
    assert shown(alone) == shown(page)


def test_stopped_batch_is_told_from_its_link(open_page):
    page = open_page()
    ask(page, die="risky", times=20)
    page.click("#roll")
    settle(page, "failed")
    fresh = open_page(search="?" + page.url.partition("?")[2])
    settle(fresh)
    assert shown(fresh) == shown(page)


def test_link_of_a_comparison_shows_its_curve(open_page):
    page = open_page()
    ask(page, times=4)
    page.click("#compare")
    settle(page)
    fresh = open_page(search="?" + page.url.partition("?")[2])
    settle(fresh)
    for selector in ("#parts", "#verdict", "#figures", "#sweep table"):
        expect(fresh.locator(selector)).to_have_text(page.locator(selector).inner_text(), use_inner_text=True)
    assert fresh.locator("#sweep svg").inner_html() == page.locator("#sweep svg").inner_html()


def test_form_is_in_the_address(open_page):
    page = open_page()
    ask(page, die="risky", times=7, concurrency=3, strategy="first-success")
    page.fill("#seed", "9007199254740991")
    fresh = open_page(search=page.evaluate("location.search"))
    for id, value in {"die": "risky", "times": "7", "concurrency": "3", "strategy": "first-success", "seed": "9007199254740991"}.items():
        expect(fresh.locator(f"#{id}")).to_have_value(value)
    expect(fresh.locator("#roll")).to_have_text("Roll 7")


@pytest.mark.parametrize("search", ["?die=gone", "?times=x&concurrency=-1&strategy=none&seed=1e9", "?times=999", "?trace=nonsense", "?trace=" + "0" * 32])
def test_address_that_makes_no_sense_does_no_harm(open_page, search):
    page = open_page(search=search)
    expect(page.locator("#empty")).to_be_visible()
    ask(page)
    page.click("#roll")
    settle(page)


def test_back_and_forward(page):
    for times in (2, 3):
        ask(page, times=times)
        page.click("#roll")
        settle(page)
    page.go_back()
    expect(page.locator(".die")).to_have_count(2)
    expect(page.locator("#times")).to_have_value("2")
    page.go_back()
    expect(page.locator("#empty")).to_be_visible()
    page.go_forward()
    expect(page.locator(".die")).to_have_count(2)
    page.go_forward()
    expect(page.locator(".die")).to_have_count(3)
    expect(page.locator("#times")).to_have_value("3")


def test_history_survives_a_reload(page):
    for times in (2, 3):
        ask(page, times=times)
        page.click("#roll")
        settle(page)
    told = page.inner_text("#history-list")
    page.reload()
    settle(page)
    expect(page.locator("#history-list")).to_have_text(told, use_inner_text=True)
    expect(page.locator("#history [aria-current]")).to_contain_text("3 × fair")
    page.locator("#history button", has_text="2 × fair").click()
    expect(page.locator(".die[data-state=ok]")).to_have_count(2)
    expect(page.locator("#history [aria-current]")).to_contain_text("2 × fair")
    page.evaluate("localStorage.setItem('dice.history', '[1, {}, null]')")
    page.reload()
    expect(page.locator("#history")).to_be_hidden()


def test_copy_and_download(open_page):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, times=3)
    page.click("#roll")
    settle(page)
    trace = page.inner_text("#trace-links code")
    page.click("text=Copy link")
    expect(page.locator("#trace-links")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.click("text=Copy id")
    page.wait_for_function("trace => navigator.clipboard.readText().then(text => text === trace)", arg=trace)
    with page.expect_download() as download:
        page.click("text=Download OTLP JSON")
    assert download.value.suggested_filename == f"trace-{trace}.json"
    assert trace in download.value.path().read_text()


def test_file_of_a_trace_is_drawn(open_page, tmp_path):
    page = open_page()
    ask(page, times=4)
    page.click("#roll")
    settle(page)
    before = shown(page)
    answer = page.request.get(f"{page.url.partition('?')[0]}api/traces/{before['id']}").json()
    as_lines = "\n".join(json.dumps({"resourceSpans": [one]}) for one in answer["resourceSpans"])
    for name, text in {"trace.json": json.dumps(answer), "lines.jsonl": as_lines}.items():
        file = tmp_path / name
        file.write_text(text)
        fresh = open_page()
        fresh.set_input_files("#file", file)
        settle(fresh)
        expect(fresh.locator("#run-title")).to_have_text(name)
        assert {**shown(fresh), "title": ""} == {**before, "title": ""}


def test_file_that_is_dropped(page):
    page.evaluate("""text => {
        const files = new DataTransfer();
        files.items.add(new File([text], 'dropped.json'));
        document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}));
    }""", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "a" * 32, "spanId": "b" * 16, "name": "anything", "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000100000000"}]}]}]}))
    expect(page.locator(".row")).to_have_text(re.compile("anything.*unknown.*100 ms"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"resourceSpans":[]}', '{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}', "\x00\xff"])
def test_file_that_is_no_trace_is_refused(page, tmp_path, text):
    file = tmp_path / "holiday.json"
    file.write_text(text)
    page.set_input_files("#file", file)
    expect(page.locator("#service-status")).to_have_text("holiday.json is not a trace in OTLP JSON.")
    page.click("#roll")
    settle(page)


def test_link_of_a_trace_that_is_gone(open_page):
    page = open_page(search=f"?trace={'a' * 32}")
    expect(page.locator("#problem[data-code=trace_not_found]")).to_contain_text("This trace is not remembered.")
    page.click("#roll")
    settle(page)
    expect(page.locator("#problem")).to_be_hidden()


def test_link_of_a_batch_that_runs_is_live(open_page, slow_url):
    page, other = open_page(url=slow_url), None
    ask(page, times=12, concurrency=3)
    page.click("#roll")
    page.wait_for_selector(".bar[data-state=open]")
    other = open_page(url=slow_url, search="?" + page.url.partition("?")[2])
    other.wait_for_selector(".bar[data-state=open]")
    settle(page)
    settle(other)
    assert shown(other) == shown(page)


def test_same_seed_same_dice_everywhere(page, system):
    ask(page, die="risky", times=10, strategy="best-effort")
    page.fill("#seed", "42")
    page.click("#roll")
    settle(page)
    dice = [die.get_attribute("data-value") for die in page.locator(".die").all()]
    base = page.url.partition("?")[0]
    answer = page.request.get(f"{base}roll-async?die=risky&times=10&seed=42&strategy=best-effort").json()
    failed = {one["index"] for one in answer["failed"]}
    rolls = iter(answer["rolls"])
    assert dice == ["" if index in failed else str(next(rolls)) for index in range(10)]
    for index in (0, 9):
        one = page.request.get(f"{base}roll?die=risky&seed=42&index={index}")
        assert one.ok == (index not in failed) and (not one.ok or str(one.json()["roll"]) == dice[index])
    # loadgen sends the seed with its first request.
    def values():
        text = page.request.get(f"{system.metrics_url('dice-roller')}/metrics").text()
        return {int(value): int(float(count)) for value, count in re.findall(r'dice_roll_values_total\{die_type="fair",value="(\d)"\} (\S+)', text)}

    expected, before = page.request.get(f"{base}roll?die=fair&seed=42").json()["roll"], values()
    subprocess.run([LOADGEN, "traffic", "--url", base.rstrip("/"), "--users", "1", "--rolls", "1", "--async", "0", "--dice", "fair", "--roll-seed", "42"],
                   check=True, capture_output=True, timeout=60)
    assert {value: count - before.get(value, 0) for value, count in values().items() if count != before.get(value, 0)} == {expected: 1}
