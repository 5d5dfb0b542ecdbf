import json
import pathlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

import contract
from states import ask, settle
from trace_maker import otlp, span

CODES = {
    "malformed_request": 400, "invalid_parameter": 400, "not_found": 404, "die_not_found": 404, "trace_not_found": 404,
    "method_not_allowed": 405, "payload_too_large": 413, "rate_limited": 429, "forbidden": 403, "overloaded": 503, "circuit_open": 503, "not_ready": 503,
    "roll_failed": 500, "batch_failed": 500, "fault_injected": 500, "downstream_unavailable": 502, "downstream_timeout": 504,
    "downstream_invalid": 502, "internal": 500,
}
TRACE = "0af7651916cd43dd8448eb211c80319c"
WEB = pathlib.Path(__file__).resolve().parents[2] / "services/frontend/web"
LABELS = ".die > span:last-child"
CONTRACT = contract.read()
STRATEGIES = [one["name"] for one in CONTRACT["strategies"]]
SERVICES = [one["name"] for one in CONTRACT["services"]]


def bars(page, selector="[data-kind=roll]"):
    return page.eval_on_selector_all(f".bar{selector}", """bars => bars.map(bar => {
        const track = bar.parentElement.getBoundingClientRect(), box = bar.getBoundingClientRect();
        return {start: +bar.dataset.startMs, end: +bar.dataset.endMs, state: bar.dataset.state, service: bar.dataset.service,
                spanKind: bar.dataset.spanKind, group: bar.closest('.tree').ariaLabel,
                name: bar.closest('.row').querySelector('.name span:not(.fold)').textContent,
                left: (box.left - track.left) / track.width, right: (box.right - track.left) / track.width}})""")


def most_at_once(rolls):
    return max(sum(other["start"] <= roll["start"] < other["end"] for other in rolls) for roll in rolls)


def answer_with(page, code, **headers):
    page.route(re.compile(r"/roll\?"), lambda route: route.fulfill(
        status=CODES[code], headers={"content-type": "application/json", **headers},
        body=json.dumps({"error": {"code": code, "message": f"message of {code}"}, "trace_id": TRACE})))


def first_success(page, index, times, failed=()):
    """Returns a batch response as the services do if roll `index` succeeds first, after the rolls of `failed` have failed."""
    def roll(i):
        came = {"die_result": 4} if i == index else {"die_error": True} if i in failed else {"die_cancelled": True}
        return span(f"r{i}", "b", f"async_roll_{i}", 10, 30 if i in failed else 50, async_roll_index=i, **came)

    arrived = []
    page.route(re.compile(r"/roll-async\?"), lambda route: route.fulfill(json={
        "total": 4, "rolls": [4], "count": 1, "trace_id": TRACE,
        **({"failed": [{"index": i, "error": "roll_failed"} for i in failed]} if failed else {})}))
    page.route(f"**/api/traces/{TRACE}", lambda route: route.fulfill(json={"complete": bool(arrived), **(otlp(
        frontend=[span("a", "", "GET /roll-async", 0, 60, 2)],
        dice_roller=[span("b", "a", "GET /roll-async", 5, 55, 2), *map(roll, range(times))]) if arrived else otlp())}))
    return lambda: arrived.append(True)


def test_roll_once(page):
    expect(page.locator("#die option")).to_have_text(["fair", "risky"])
    expect(page.locator("#roll")).to_have_text("Roll once")
    page.click("#roll")
    settle(page)
    expect(page.locator(".die")).to_have_count(1)
    value = page.locator(".die").get_attribute("data-value")
    assert value in "123456"
    expect(page.locator(".die circle")).to_have_count(int(value))
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator(".bar[data-kind=roll]")).to_have_count(1)
    assert {bar["service"] for bar in bars(page, "")} == {"frontend", "dice-roller", "die-service"}
    expect(page.locator("#announce")).to_have_text(value)
    assert page.title() == f"1 × fair: {value} · Dice"


def test_twenty_at_once_overlap(page):
    ask(page, times=20)
    page.click("#roll")
    settle(page)
    expect(page.locator(".die[data-state=ok]")).to_have_count(20)
    expect(page.locator(".row")).to_have_count(25)
    rolls = bars(page)
    assert sorted(roll["name"] for roll in rolls) == sorted(f"async_roll_{i}" for i in range(20))
    assert most_at_once(rolls) > 10
    added = sum(roll["end"] - roll["start"] for roll in rolls)
    together = max(roll["end"] for roll in rolls) - min(roll["start"] for roll in rolls)
    assert together < added / 3
    assert int(page.inner_text("[data-figure=max-at-once] .big")) > 10
    expect(page.locator("#verdict")).to_have_text(re.compile(
        r"^One by one, these 20 rolls would have taken [\d.]+ s\. Together they took [\d.]+ m?s, [\d.]+ times faster\. Roll \d+ was the slowest\.$"))
    total = sum(int(die.get_attribute("data-value")) for die in page.locator(".die").all())
    expect(page.locator("[data-stat=total] dd")).to_have_text(str(total))
    counts = page.eval_on_selector_all(".distribution [data-face]", "all => all.map(one => +one.dataset.count)")
    assert sum(counts) == 20 and len(counts) == 6
    critical = [bar["name"] for bar in bars(page, "[data-critical=true]")]
    last = max(rolls, key=lambda roll: roll["end"])
    assert last["name"] in critical and "GET /roll-async" in critical


def test_concurrency_is_kept(page):
    ask(page, times=8, concurrency=2)
    page.click("#roll")
    settle(page)
    expect(page.locator("[data-figure=max-at-once] .big")).to_have_text("2")
    ask(page, times=3, concurrency=5)
    page.click("#roll")
    assert not page.evaluate("document.getElementById('concurrency').validity.valid")
    expect(page.locator("#history button")).to_have_count(1)


def test_all_or_nothing_marks_failed_and_cancelled(page):
    ask(page, die="risky", times=20)
    page.click("#roll")
    settle(page, "failed")
    expect(page.locator("#problem[data-code=batch_failed] strong")).to_contain_text("failed")
    for state in ("failed", "cancelled"):
        dice = page.locator(f".die[data-state={state}]")
        expect(dice).not_to_have_count(0)
        expect(dice.first).to_contain_text(state)
        marked = page.locator(f".row[data-state={state}]", has=page.locator("[data-kind=roll]"))
        expect(marked).to_have_count(dice.count())
        expect(marked.first.locator(".outcome")).to_contain_text(state)


def test_best_effort_shows_failed_in_their_places(page):
    ask(page, die="risky", times=20, strategy="best-effort")
    page.click("#roll")
    settle(page)
    failed = page.eval_on_selector_all(".die[data-state=failed]", "all => all.map(die => +die.dataset.index)")
    rolls = bars(page)
    assert failed and len(failed) < 20
    assert sorted(int(roll["name"].rpartition("_")[2]) for roll in rolls if roll["state"] == "failed") == failed
    results = {row.get_attribute("aria-label").split(",")[0]: row.locator(".outcome").inner_text()
               for row in page.locator(".row", has=page.locator("[data-kind=roll]")).all()}
    for die in page.locator(".die[data-state=ok]").all():
        assert results[f"async_roll_{die.get_attribute('data-index')}"] == f"→ {die.get_attribute('data-value')}"


def test_names_are_the_services():
    """All other names come from index.html or the trace."""
    for file in WEB.glob("*.js"):
        found = re.findall("|".join((*STRATEGIES, *SERVICES, r"(?i:async[ _]roll[ _])", "GET /")), file.read_text())
        assert not found, f"{file.name}: {found}"


def test_modules_have_no_state_of_their_own():
    """It is in objects that app.js makes."""
    for file in WEB.glob("*.js"):
        assert not re.search(r"^(export )?(let|var) ", file.read_text(), re.MULTILINE), file.name
        assert file.name == "app.js" or not re.search(r"^[^ /\n].*(?<!=> )document\.", file.read_text(), re.MULTILINE), file.name


def test_strategies_are_the_services(page):
    answer = page.request.get(page.url + "roll-async?die=fair&times=1&strategy=none")
    assert answer.status == 400
    known = re.search(r"one of: (.*)", answer.json()["error"]["message"])[1].split(", ")
    assert known == [option.get_attribute("value") for option in page.locator("#strategy option").all()]


def test_first_success_shows_which_die_won(page, artifacts):
    arrive = first_success(page, index=2, times=5, failed=[0])
    ask(page, die="risky", times=5, strategy="first-success")
    page.click("#roll")
    expect(page.locator(".die[data-state=rolling]")).to_have_count(4)
    expect(page.locator("#history b")).to_have_text("total 4, 1 of 5 rolls")
    arrive()
    settle(page)
    expect(page.locator(LABELS)).to_have_text(["failed", "cancelled", "won", "cancelled", "cancelled"])
    expect(page.locator(".die[data-value='4'] circle")).to_have_count(4)
    expect(page.locator("[data-stat=total] dd")).to_have_text("4")
    expect(page.locator("[data-stat=succeeded] dd")).to_have_text("1 of 5")
    expect(page.locator("#verdict")).to_have_text("Roll 2 succeeded first, after 40.0 ms, and ended the batch: 3 others were cancelled.")
    expect(page.locator(".row[data-state=cancelled]")).to_have_count(3)
    assert "async_roll_2" in [bar["name"] for bar in bars(page, "[data-critical=true]")]
    page.screenshot(path=artifacts / "first-success.png", full_page=True)


def test_first_success_of_the_last_that_is_left_needs_no_trace(page):
    first_success(page, index=1, times=3, failed=[0, 2])
    ask(page, die="risky", times=3, strategy="first-success")
    page.click("#roll")
    expect(page.locator(LABELS)).to_have_text(["failed", "won", "failed"])


def test_compare_stops_at_the_first_success_in_both(page):
    first_success(page, index=1, times=4)()
    answers = iter([{"status": 500, "json": {"error": {"code": "roll_failed", "message": "failed"}, "trace_id": TRACE}},
                    {"json": {"roll": 6, "trace_id": TRACE}}])
    page.route(re.compile(r"/roll\?"), lambda route: route.fulfill(**next(answers)))
    ask(page, times=4, strategy="first-success")
    page.click("#compare")
    expect(page.locator("#run[data-state=done]")).to_be_visible()
    in_turn, batch = page.locator(".part").all()
    expect(in_turn.locator(LABELS)).to_have_text(["failed", "won", "skipped", "skipped"])
    expect(batch.locator(LABELS)).to_have_text(["cancelled", "won", "cancelled", "cancelled"])


@pytest.mark.parametrize("strategy, words", [("all-or-nothing", "A roll failed"), ("best-effort", "All rolls"), ("first-success", "All rolls")])
def test_failed_batch_in_the_words_of_its_strategy(page, strategy, words):
    page.route(re.compile(r"/roll-async\?"), lambda route: route.fulfill(status=500, json={
        "error": {"code": "batch_failed", "message": "failed"}, "trace_id": TRACE}))
    ask(page, times=2, strategy=strategy)
    page.click("#roll")
    expect(page.locator("#problem[data-code=batch_failed] strong")).to_contain_text(words)


def test_at_once_is_said_only_where_it_is_true(page):
    ask(page, times=4)
    expect(page.locator("#roll")).to_have_text("Roll 4 at once")
    ask(page, times=4, concurrency=4)
    expect(page.locator("#roll")).to_have_text("Roll 4 at once")
    ask(page, times=1)
    expect(page.locator("#roll")).to_have_text("Roll 1")
    ask(page, times=4, concurrency=2)
    expect(page.locator("#roll")).to_have_text("Roll 4")
    page.click("#compare")
    settle(page)
    expect(page.locator("#parts h3")).to_have_text(["One after another", "One batch, at most 2 at a time"])
    expect(page.locator("#verdict")).to_contain_text("In one batch, at most 2 at a time, the same rolls took")


def test_compare_draws_both_on_one_axis(page):
    ask(page, times=4)
    page.click("#compare")
    settle(page)
    rolls = bars(page)
    turn = [roll for roll in rolls if roll["group"].startswith("One after another")]
    together = [roll for roll in rolls if roll["group"].startswith("One batch")]
    assert len(turn) == len(together) == 4
    assert most_at_once(turn) == 1 and most_at_once(together) == 4
    scales = [(roll["right"] - roll["left"]) / (roll["end"] - roll["start"]) for roll in rolls]
    assert max(scales) == pytest.approx(min(scales), rel=0.02)
    assert all(roll["left"] == pytest.approx(roll["start"] * scales[0], abs=0.01) for roll in rolls)
    expect(page.locator("#verdict")).to_contain_text("times faster")
    page.check("#every")
    expect(page.locator(".row")).to_have_count(4 * 5 + 4 + 5)
    requests = [bar for bar in bars(page, "[data-service=frontend][data-span-kind=server]") if bar["group"].startswith("One after another")]
    assert len(requests) == 4


def test_history_shows_a_run_again(page):
    page.click("#roll")
    settle(page)
    ask(page, times=3)
    page.click("#roll")
    settle(page)
    expect(page.locator("#history li")).to_have_count(2)
    page.locator("#history button").nth(1).click()
    expect(page.locator(".die")).to_have_count(1)
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator("#history button").nth(1)).to_be_focused()


def test_details_only_of_what_is_selected(page):
    ask(page, times=3)
    page.click("#roll")
    settle(page)
    roll = page.locator(".row", has_text="async_roll_1")
    wide = bars(page)[0]
    roll.locator(".bar").hover()
    expect(page.locator("#details")).to_be_hidden()
    expect(page.locator(".die[data-lit]")).to_have_attribute("data-index", "1")
    roll.locator(".bar").click()
    expect(page.locator("#details")).to_contain_text("async.roll_index")
    expect(page.locator("#details")).to_contain_text("Async roll completed")  # its log line
    page.click("#details button")
    expect(page.locator("#details")).to_be_hidden()
    assert bars(page)[0] == wide
    page.locator(".die").nth(2).hover()
    expect(page.locator(".row[data-lit]")).to_contain_text("async_roll_2")


def test_keyboard_alone(page):
    def tab_to(selector):
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"Tab does not reach {selector}")

    tab_to("#die")
    page.keyboard.type("risky")
    expect(page.locator("#die")).to_have_value("risky")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#die")).to_have_value("fair")
    tab_to("#async")
    page.keyboard.press("Space")
    tab_to("#times")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.locator("#times")).to_be_focused()
    expect(page.locator(".die")).to_have_count(5)
    tab_to(".row")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    expect(page.locator(".row:focus")).to_have_attribute("aria-level", "4")
    expect(page.locator("#details")).to_contain_text("async.roll_index")
    page.keyboard.press("Home")
    expect(page.locator("#details")).to_contain_text("http.route")
    tab_to("#history button")


def test_escape_cancels(page):
    page.route(re.compile(r"/roll\?"), lambda route: None)
    page.click("#roll")
    expect(page.locator(".die[data-state=rolling]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#problem")).to_have_attribute("data-code", "cancelled")
    expect(page.locator("#history b")).to_have_text("✕ cancelled")


def test_every_error_has_words(page):
    page.route("**/api/traces/*", lambda route: route.fulfill(json={"complete": True, "resourceSpans": []}))
    seen = set()
    for code in CODES:
        answer_with(page, code, **{"retry-after": "7"})
        page.click("#roll")
        problem = page.locator(f"#problem[data-code={code}]")
        expect(problem).to_be_visible()
        what, following = problem.locator("strong").inner_text(), problem.locator("span").inner_text()
        assert code not in what and len(what) > 15 and "7 s" in following
        expect(problem).to_contain_text(f"message of {code}")
        expect(problem).to_contain_text(TRACE)
        seen.add((what, following))
        page.unroute(re.compile(r"/roll\?"))
    assert len(seen) == len(CODES)


def test_answers_that_make_no_sense(page):
    answers = [(502, "<h1>Bad Gateway</h1>"), (200, '{"roll":'), (200, "{}"), (500, "null")]
    page.route(re.compile(r"/roll\?"), lambda route: route.fulfill(status=answer[0], body=answer[1]))
    for runs, answer in enumerate(answers, 1):
        page.click("#roll")
        expect(page.locator("#history b")).to_have_text(["✕ downstream invalid"] * runs)
        expect(page.locator("#problem")).to_be_visible()
        expect(page.locator("#roll")).to_be_enabled()


def test_trace_that_is_still_arriving(page):
    arriving = [True]

    def partly(route):
        trace = route.fetch()
        body = trace.json()
        if trace.ok and arriving[0]:
            body = {"complete": False, "resourceSpans": [part for part in body["resourceSpans"] if "die-service" not in json.dumps(part["resource"])]}
        route.fulfill(response=trace, json=body)

    page.route("**/api/traces/*", partly)
    page.click("#roll")
    expect(page.locator("#trace-status")).to_contain_text("still arriving")
    expect(page.locator(".row")).to_have_count(4)
    arriving[0] = False
    settle(page)
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator("#trace-status")).to_be_empty()


def test_grafana_links(open_page):
    page = open_page(prepare=lambda page: page.route("**/api/config", lambda route: route.fulfill(
        json={"version": "3.0.0", "grafana_url": "http://grafana.example/g/"})))
    page.click("#roll")
    settle(page)
    trace = page.inner_text("#trace-links code")
    hrefs = [link.get_attribute("href") for link in page.locator("#trace-links a[target]").all()]
    assert len(hrefs) == 2 and all(href.startswith("http://grafana.example/g/explore?") and trace in href for href in hrefs)
    assert '{service_name=~\\"frontend|dice-roller|die-service\\"}' in parse_qs(urlsplit(hrefs[1]).query)["panes"][0]


def test_no_grafana_links_without_grafana(page):
    page.click("#roll")
    settle(page)
    expect(page.locator("#trace-links a[target]")).to_have_count(0)


def test_service_behind_is_down(page, fragile):
    for name in ("die-service", "dice-roller"):
        fragile.stop_one(name)
        page.click("#roll")
        expect(page.locator("#problem strong")).to_contain_text("service behind this page")
        page.wait_for_selector("#trace[data-complete=true]")
        expect(page.locator(".row[data-state=failed]").first).to_be_visible()
        fragile.start_one(name)
        # dice-roller's circuit breaker takes a while to close.
        page.wait_for_function("async () => (await fetch('roll?die=fair')).ok", polling=100, timeout=30_000)
        page.click("#roll")
        settle(page)


def test_page_finds_the_service_again(page, fragile):
    fragile.stop_one("frontend")
    page.click("#roll")
    expect(page.locator("#history b")).to_have_text("✕ network")
    expect(page.locator("#service-status")).to_contain_text("cannot be reached")
    fragile.start_one("frontend")
    expect(page.locator("#service-status")).to_have_text("The service is back.", timeout=10_000)
    expect(page.locator("#problem")).to_have_attribute("data-code", "network")  # also if what shows it could not be loaded before
    page.click("#roll")
    settle(page)


def test_menu_fills_when_the_dice_come(open_page, fragile):
    fragile.stop_one("frontend")
    fragile.stop_one("die-service")
    fragile.start_one("frontend")
    page = open_page(ready=False)
    expect(page.locator("#service-status")).to_contain_text("No list of dice")
    expect(page.locator("#roll")).to_be_disabled()
    fragile.start_one("die-service")
    expect(page.locator("#roll")).to_be_enabled(timeout=20_000)
    expect(page.locator("#die option")).to_have_text(["fair", "risky"])
