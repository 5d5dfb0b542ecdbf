"""Compare: the same rolls one after another, as a batch, and with other limits; every figure from the spans."""

import functools
import re

import pytest
from playwright.sync_api import expect

from states import ask, compare_rolls, settle, spans_of

compare = functools.partial(compare_rolls, timeout=30_000)


def duration(ms):
    """As text.js writes it."""
    return f"{ms / 1000:.2f} s" if ms >= 999.5 else f"{ms:.0f} ms" if ms >= 99.95 else f"{ms:.1f} ms" if ms >= 9.995 else f"{ms:.2f} ms"


def rolls_of(page, group):
    return page.eval_on_selector_all(".group", "(groups, i) => [...groups[i].querySelectorAll('.bar[data-kind=roll]')].map(bar => bar.dataset.rollEndMs - bar.dataset.rollStartMs)", group)


def table(page):
    return [[cell.inner_text() for cell in row.locator("td").all()] for row in page.locator("#sweep tbody tr").all()]


def trace_ids(page):
    return re.findall(r"trace=([0-9a-f]{32})", page.evaluate("location.search"))


def request_ms(page, trace):
    spans = spans_of(page, trace)
    return (max(int(span["endTimeUnixNano"]) for span in spans) - min(int(span["startTimeUnixNano"]) for span in spans)) / 1e6


def test_both_halves_roll_the_same_dice(page):
    compare(page, die="risky", times=8, strategy="best-effort")
    first, second = ([(die.get_attribute("data-state"), die.get_attribute("data-value")) for die in part.locator(".die").all()]
                     for part in page.locator(".part").all())
    assert first == second and {"ok"} <= {state for state, _ in first}
    one, other = rolls_of(page, 0), rolls_of(page, 1)
    # The delays are the same; what differs is what the machine adds.
    assert one == pytest.approx(other, abs=60)


def test_no_roll_that_fails_spoils_a_comparison_by_default(page):
    for _ in range(3):
        page.select_option("#die", "risky")
        page.click("#compare")
        page.wait_for_selector("#run:not([data-state=rolling])", timeout=60_000)
        expect(page.locator("#run")).to_have_attribute("data-state", "done")
        expect(page.locator("#problem")).to_be_hidden()


def test_sums_are_those_of_the_spans(page):
    compare(page, times=5)
    for group, figure in enumerate(("sequential", "together")):
        lengths = rolls_of(page, group)
        expect(page.locator(f"[data-figure={figure}] .hint")).to_have_text(f"5 rolls, added up {duration(sum(lengths))}")
        expect(page.locator(f"[data-figure={figure}] .big")).to_have_text(duration(request_ms(page, trace_ids(page)[group])))


def test_curve_is_right(page):
    compare(page, times=6)
    rows = table(page)
    assert [row[0] for row in rows] == ["1 at a time", "2 at a time", "4 at a time", "6 at a time"]
    _, six, one, two, four = (request_ms(page, trace) for trace in trace_ids(page))
    assert [row[1] for row in rows] == [duration(ms) for ms in (one, two, four, six)]
    assert [row[2] for row in rows] == [f"{one / ms:.2f}×" for ms in (one, two, four, six)]
    slowest = []
    for i, button in enumerate(page.locator("#sweep button").all()):
        page.locator("#sweep button").nth(i).click()
        expect(page.locator("#sweep tr").nth(i + 1)).to_have_attribute("aria-current", "true")
        slowest.append(max(rolls_of(page, 1)))
    page.locator("#sweep button").first.click()
    expect(page.locator("#parts h3").nth(1)).to_have_text("One batch, at most 1 at a time")
    serial = one - sum(rolls_of(page, 1))
    assert [row[3] for row in rows] == [f"{one / (serial + (one - serial) / k):.2f}×" for k in (1, 2, 4, 6)]
    limit = one / min(slowest)
    expect(page.locator("#sweep .hint")).to_contain_text(f"no batch of these rolls can be more than {limit:.2f} times faster.")
    expect(page.locator("#sweep .hint")).to_contain_text(f"{duration(serial)} of the request cannot be shared out")
    assert all(float(row[2][:-1]) <= round(limit, 2) for row in rows)
    expect(page.locator("#sweep svg circle")).to_have_count(4)
    expect(page.locator("#sweep tr[aria-current] button")).to_be_focused()


def test_chosen_limit_is_a_point_of_its_own(page):
    compare(page, times=5, concurrency=3)
    assert [row[0] for row in table(page)] == [f"{k} at a time" for k in (1, 2, 3, 4, 5)]
    expect(page.locator("#sweep tr[aria-current]")).to_contain_text("3 at a time")
    expect(page.locator("#verdict")).to_contain_text("In one batch, at most 3 at a time, the same rolls took")


def test_one_roll_can_be_compared(page):
    compare(page, times=1)
    assert [row[0] for row in table(page)] in ([], ["1 at a time"])


def test_cancelled_comparison_keeps_what_was_measured(open_page, slow_url):
    page = open_page(url=slow_url)
    ask(page, times=4)
    page.click("#compare")
    page.wait_for_selector(".group:nth-child(2) .bar[data-state=open]", timeout=30_000)
    page.keyboard.press("Escape")
    settle(page, "failed")
    expect(page.locator("#problem[data-code=cancelled]")).to_be_visible()
    expect(page.locator(".part").first.locator(".die[data-state=ok]")).to_have_count(4)
    expect(page.locator(".part").nth(1).locator(".die[data-state=cancelled]")).not_to_have_count(0)


def test_requests_of_a_comparison_are_roots(page):
    """The page names the trace; whether it is sampled is the frontend's decision."""
    sent = []
    page.on("request", lambda request: sent.append(request.headers) if "/roll" in request.url else None)
    compare(page, times=2)
    assert sent and all("traceparent" not in headers and re.fullmatch("[0-9a-f]{32}", headers["dice-trace-id"]) for headers in sent)
    spans = spans_of(page, trace_ids(page)[0])
    assert sum(not span.get("parentSpanId") for span in spans) == 2
