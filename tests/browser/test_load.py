"""The panel "Load and faults"."""

import json
import re
import time
import urllib.request

import pytest
from playwright.sync_api import expect

import contract
import run
from measure import watch_frames
from programs import ENVIRONMENT
from run import ROOT

SERVICES = [one["name"] for one in contract.read()["services"]]
FRONTEND, ROLLER, DIE = SERVICES
NONE = {"delay_seconds": 0, "error_rate": 0}
# A page that draws too seldom is seen at once; what else runs on the machine of the tests must not fail them.
LONGEST_FRAME = 1000


def start(folder, **more):
    system = run.System(contract.default_bin(), folder, free_ports=True)
    system.start({"all": {**ENVIRONMENT, "FAULTS_ENABLED": "true", **more}})
    return system


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = start(tmp_path_factory.mktemp("logs"))
    yield system
    codes = system.stop()
    assert set(codes.values()) <= {0}, f"a service did not stop cleanly: {codes}"


def send(url, body=None):
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None,
                                     {"Content-Type": "application/json"}, method="GET" if body is None else "PUT")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


@pytest.fixture
def panel(system, open_page):
    """Opens the page and waits for the panel. All faults are cleared afterwards."""

    def open_panel(**options):
        page = open_page(**options)
        page.wait_for_selector(".load:not([hidden])")
        return page

    yield open_panel
    for name in SERVICES:
        send(f"{system.metrics_url(name)}/debug/faults", NONE)


def counters(system, name, metric):
    """{labels: value} of a metric, labels as {name: value}."""
    with urllib.request.urlopen(f"{system.metrics_url(name)}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if match := re.match(rf"{metric}{{(.*)}} (\S+)$", line):
            found[frozenset(re.findall(r'(\w+)="([^"]*)"', match[1]))] = float(match[2])
    return found


def increase(after, before, **labels):
    return {key: value - before.get(key, 0) for key, value in after.items() if set(labels.items()) <= key and value != before.get(key, 0)}


def bucket_of(histogram, q):
    """The upper bound of the bucket in which the quantile is."""
    buckets = sorted((float(dict(key)["le"]), count) for key, count in histogram.items())
    return next(le for le, count in buckets if count >= q * buckets[-1][1])


def choose(page, users=5, seconds="10", times=5, die="fair", strategy="all-or-nothing"):
    page.select_option("#die", die)
    page.set_checked("#async", times is not None)
    if times is not None:
        page.fill("#times", str(times))
        page.select_option("#strategy", strategy)
    page.fill(".load [name=users]", str(users))
    page.select_option(".load-form select", seconds)


def begin(page, **choices):
    choose(page, **choices)
    page.click(".load-form button")
    expect(page.locator(".load[data-state=running]")).to_be_visible()


def ended(page, seconds=30):
    page.wait_for_selector(".load[data-state=idle]", timeout=seconds * 1000)


def wait_for_points(page, count):
    page.wait_for_function("n => +document.querySelector('.load-plot').getAttribute('aria-valuemax') >= n - 1", arg=count, timeout=30_000)


def total(page, key):
    return int(page.get_attribute(f".load-totals [data-total={key}]", "data-value"))


def errors(page):
    return {item.get_attribute("data-code"): int(item.get_attribute("data-value"))
            for item in page.locator(".load-totals [data-total=error]").all()}


@pytest.mark.parametrize("times, route, delay", [(5, "/roll-async", 1.2), (5, "/roll-async", 0), (None, "/roll", 0)])
def test_counts_are_those_of_the_services(panel, system, times, route, delay):
    """With the delay, no latency is near a bound of the histogram; without, a busy machine can add enough for the next bucket."""
    page = panel()
    send(f"{system.metrics_url(ROLLER)}/debug/faults", {**NONE, "delay_seconds": delay})
    names = ("http_requests_total", "http_request_duration_seconds_bucket")
    before = {name: counters(system, FRONTEND, name) for name in names}
    rolled = counters(system, ROLLER, "dice_rolls_total")
    sent = []
    page.on("request", lambda request: sent.append(request) if "/roll" in request.url else None)
    begin(page, times=times, die="fair" if times else "risky")
    ended(page)
    after = {name: counters(system, FRONTEND, name) for name in names}
    answered = increase(after[names[0]], before[names[0]], route=route)
    assert total(page, "requests") == total(page, "answered") == sum(answered.values()) == len(sent) > 20
    assert errors(page) == {dict(key)["error_code"]: count for key, count in answered.items() if dict(key)["error_code"]}
    assert total(page, "dice") == sum(increase(counters(system, ROLLER, "dice_rolls_total"), rolled, result="success").values())
    assert len({request.headers["dice-trace-id"] for request in sent}) == len(sent)
    assert all(re.fullmatch("[0-9a-f]{32}", request.headers["dice-trace-id"]) for request in sent)
    histogram = {key: value - before[names[1]].get(key, 0) for key, value in after[names[1]].items() if ("route", route) in key}
    for percentile in (50, 95, 99):
        item = page.locator(f".load-totals [data-total=p{percentile}]")
        seen, served = float(item.get_attribute("data-le")), bucket_of(histogram, percentile / 100)
        bounds = sorted({float(dict(key)["le"]) for key in histogram})
        assert bounds.index(seen) - bounds.index(served) in ((0,) if delay else (0, 1)), (percentile, item.inner_text(), served)


def test_users_take_turns_and_stop_stops(panel):
    page = panel()
    inside, most = set(), []

    def enter(request):
        if "/roll" in request.url:
            inside.add(request)
            most.append(len(inside))

    page.on("request", enter)
    page.on("requestfinished", lambda request: inside.discard(request))
    begin(page, users=3, seconds="", times=4)
    expect(page.locator(".load-form button")).to_have_text("Stop")
    expect(page.locator(".load [name=users]")).to_be_disabled()
    wait_for_points(page, 3)
    page.click(".load-form button")
    ended(page)
    expect(page.locator(".load-form button")).to_have_text("Start")
    expect(page.locator(".load [role=status]")).to_contain_text("Load ended")
    assert max(most) == 3
    assert total(page, "requests") == total(page, "answered") == len(most) and not inside
    count = len(most)
    page.wait_for_timeout(300)
    assert len(most) == count, "a request was sent after the end"


def test_requests_that_hang_can_be_cancelled(panel, system):
    page = panel()
    send(f"{system.metrics_url(FRONTEND)}/debug/faults", {**NONE, "delay_seconds": 30})
    begin(page, users=2, times=None)
    page.click(".load-form button")
    expect(page.locator(".load-form button")).to_have_text("Cancel the last 2")
    page.click(".load-form button")
    ended(page, 5)
    assert (total(page, "requests"), total(page, "answered"), errors(page)) == (2, 0, {"cancelled": 2})


def test_point_opens_its_slowest_trace(panel):
    page = panel()
    sent, opened = set(), []
    page.on("request", lambda request: sent.add(request.headers.get("dice-trace-id")))
    page.on("request", lambda request: opened.append(request.url.rpartition("/")[2]) if "/api/traces/" in request.url else None)
    begin(page, times=3)
    wait_for_points(page, 3)
    plot = page.locator(".load-plot")
    plot.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert plot.get_attribute("aria-valuetext").startswith("1 to 2 s: ")
    assert re.search(r"p50 \d+ ms, p99 \d+ ms · no errors · at most \d+ rolls in flight", plot.get_attribute("aria-valuetext"))
    with page.expect_request("**/api/traces/*"):
        page.keyboard.press("Enter")
    assert opened[0] in sent
    page.keyboard.press("Home")
    expect(plot).to_have_attribute("aria-valuenow", "0")
    with page.expect_request(lambda request: "/api/traces/" in request.url and opened[0] not in request.url):
        page.locator(".load-read button").click()
    with page.expect_request("**/api/traces/*"):
        lane = page.locator("[data-lane=latency] > svg")
        lane.click(position={"x": lane.bounding_box()["width"] * 0.25, "y": 10}, force=True)
    expect(plot).to_have_attribute("aria-valuenow", "2")
    assert set(opened) <= sent
    ended(page)


def test_fault_is_set_shown_and_ends(panel, system):
    page = panel()
    row = page.locator(f"[data-fault={ROLLER}]")
    state = row.locator(".load-state")
    expect(state).to_have_text("no fault")
    row.locator("[name=delay]").fill("0.2")
    row.locator("[name=errors]").fill("25")
    row.locator("[name=seconds]").fill("3")
    with page.expect_request(lambda request: request.method == "PUT") as put:
        row.get_by_role("button", name="Apply").click()
    assert put.value.post_data_json == {"delay_seconds": 0.2, "error_rate": 0.25, "unavailable": False, "duration_seconds": 3}
    expect(state).to_have_text(re.compile(r"0\.2 s slower, 25 % errors, [23] s left"))
    expect(page.locator(".load [role=status]")).to_contain_text(f"{ROLLER}: 0.2 s slower")
    assert send(f"{system.metrics_url(ROLLER)}/debug/faults")["error_rate"] == 0.25
    expect(state).to_contain_text("1 s left")
    expect(state).to_have_text("no fault")
    assert send(f"{system.metrics_url(ROLLER)}/debug/faults")["error_rate"] == 0


def test_fault_is_cleared(panel, system):
    page = panel()
    row = page.locator(f"[data-fault={DIE}]")
    clear = row.get_by_role("button", name="Clear")
    expect(clear).to_be_disabled()
    row.locator("[name=delay]").fill("0.1")
    row.locator("[name=delay]").press("Enter")
    expect(row.locator(".load-state")).to_contain_text("0.1 s slower, 30 s left")
    clear.click()
    expect(row.locator(".load-state")).to_have_text("no fault")
    assert send(f"{system.metrics_url(DIE)}/debug/faults")["delay_seconds"] == 0


def test_fault_that_was_set_before_is_shown(panel):
    page = panel()
    row = page.locator(f"[data-fault={DIE}]")
    row.locator("[name=errors]").fill("100")
    row.get_by_role("button", name="Apply").click()
    expect(row.locator(".load-state")).to_contain_text("100 % errors")
    page.reload()
    expect(row.locator(".load-state")).to_contain_text("100 % errors")
    row.get_by_role("button", name="Clear").click()
    expect(row.locator(".load-state")).to_have_text("no fault")


def test_fault_without_an_end_is_shown(panel, system):
    page = panel()
    page.route(f"**/api/faults/{DIE}", lambda route: route.fulfill(json={"delay_seconds": 0.5, "error_rate": 0, "unavailable": False}))
    page.reload()
    expect(page.locator(f"[data-fault={DIE}] .load-state")).to_have_text("0.5 s slower, until cleared")


def test_values_that_are_not_allowed_are_not_sent(panel):
    page = panel()
    row = page.locator(f"[data-fault={DIE}]")
    puts = []
    page.on("request", lambda request: puts.append(request) if request.method == "PUT" else None)
    for name, value in (("seconds", "301"), ("errors", "101"), ("delay", "-1")):
        row.locator(f"[name={name}]").fill(value)
        row.get_by_role("button", name="Apply").click()
        assert not row.evaluate("form => form.checkValidity()")
        row.locator(f"[name={name}]").fill("1")
    page.fill(".load [name=users]", "6")
    page.click(".load-form button")
    expect(page.locator(".load[data-state=idle]")).to_be_visible()
    assert not puts


def test_refused_fault_says_why(panel):
    page = panel()
    page.route("**/api/faults/*", lambda route: route.fulfill(status=400, json={
        "error": {"code": "invalid_parameter", "message": "'delay_seconds' must be a number from 0 to 60"}}))
    row = page.locator(f"[data-fault={DIE}]")
    row.get_by_role("button", name="Apply").click()
    expect(row.locator(".load-state")).to_have_text("'delay_seconds' must be a number from 0 to 60")


def test_slow_service_is_seen_in_the_latency(panel, artifacts):
    page = panel(width=1440)
    choose(page, times=5)
    page.click(f"button:text-is('{DIE} slow')")
    expect(page.locator(f"[data-fault={DIE}] .load-state")).to_contain_text("1 s slower", timeout=15_000)
    slowest = page.locator(".load-read button")
    expect(slowest).to_contain_text(re.compile(r"trace, 1\.\d\d s"), timeout=10_000)
    page.locator(".load").screenshot(path=artifacts / "load-slow.png")
    page.click(".load-form button")
    ended(page)
    assert page.locator("[data-lane=requests] .load-band").get_attribute("d")
    assert errors(page) == {}


def test_service_that_is_down_is_seen_in_the_errors(panel, artifacts):
    page = panel(width=1440)
    choose(page, times=5)
    page.click(f"button:text-is('{DIE} down')")
    expect(page.locator(f"[data-fault={DIE}] .load-state")).to_contain_text("unavailable", timeout=15_000)
    expect(page.locator("[data-total=error][data-code=circuit_open]")).to_be_visible(timeout=10_000)
    expect(page.locator("[data-lane=errors] .load-legend")).to_contain_text("circuit open")
    page.locator(f"[data-fault={DIE}]").get_by_role("button", name="Clear").click()
    ended(page, 60)
    page.locator(".load").screenshot(path=artifacts / "load-down.png")
    assert total(page, "requests") == total(page, "answered") > sum(errors(page).values()) > 0


def test_overload_is_what_it_says(panel, system):
    page = panel()
    text = page.locator(".load-scenarios li", has_text="Overload").inner_text()
    assert f"--url {system.url(FRONTEND)} --users 200" in text and "at most 100 rolls" in text.replace("\n", " ")
    with page.expect_request("**/roll-async?**times=20**"):
        page.click("button:text-is('Overload')")
    wait_for_points(page, 2)
    page.locator(".load-plot").focus()
    page.keyboard.press("Home")
    assert page.get_attribute(".load-plot", "aria-valuetext").endswith("at most 100 rolls in flight")
    page.click(".load-form button")
    ended(page)
    assert errors(page) == {}


def test_turned_away(panel, system):
    """The same with a limit that a page can reach."""
    system.restart(ROLLER, {"MAX_ROLL_THREADS": 40})
    try:
        page = panel()
        page.click("button:text-is('Overload')")
        expect(page.locator("[data-total=error][data-code=overloaded]")).to_be_visible()
        page.click(".load-form button")
        ended(page)
        assert set(errors(page)) == {"overloaded"}
        expect(page.locator("[data-total=error]")).to_contain_text("dice roller is busy")
    finally:
        system.restart(ROLLER)


def test_no_panel_unless_faults_are_allowed(open_page):
    asked = []
    page = open_page(prepare=lambda page: (
        page.on("request", lambda request: asked.append(request.url)),
        page.route("**/api/config", lambda route: route.fulfill(json={"version": "3.0.0", "grafana_url": "", "max_async_rolls": 20}))))
    page.wait_for_load_state("networkidle")
    assert not any("/load" in url or "/faults" in url for url in asked)
    expect(page.locator(".load")).to_have_count(0)


def test_frames_while_it_runs(panel):
    page = panel()
    frames = watch_frames(page)
    begin(page, seconds="", times=10)
    wait_for_points(page, 15)
    page.click(".load-form button")
    ended(page)
    seen = frames()
    longest, count = seen["longestGapMs"], seen["frames"]
    print(f"\n{count} frames, longest gap {longest:.0f} ms, {total(page, 'requests')} requests")
    assert count > 15 * 10 and longest < LONGEST_FRAME


def test_points_are_merged_and_the_percentiles_are_those_of_prometheus(page, system):
    """Of the module alone, with a clock that is moved."""
    page.route("**/src/*.js", lambda route: route.fulfill(path=ROOT / "services/frontend/web" / route.request.url.rpartition("/")[2]))
    found = page.evaluate("""async () => {
        const { Histogram, Load } = await import(new URL('src/load_run.js', location.href));
        const load = new Load({ users: 0, seconds: Infinity, path: '', rolls: 1 });
        const began = load.began;
        for (let s = 1; s <= 1000; s++) {
            load.began = began - s * 1000 - 10;
            load.tick(s === 700);
        }
        const histogram = new Histogram([100, 200, 400]);
        for (const ms of [50, 150, 150, 150, 300, 300, 300, 300, 900, 900]) histogram.add(ms);
        const one = new Histogram([100, 200]);
        one.add(120);
        return { points: load.points.length, width: load.width, ms: load.points.reduce((sum, { ms }) => sum + ms, 0),
                 bounds: load.latency.bounds, faulty: load.points.filter((point) => point.faulty).length,
                 quantiles: [0.1, 0.25, 0.8, 0.99].map((q) => histogram.quantile(q)), none: new Histogram([1]).quantile(0.5),
                 one: one.quantile(0.99).value };
    }""")
    assert found["points"] <= 300 and found["width"] == 4000 and found["ms"] == found["points"] * 4000 and found["faulty"] in (1, 2)
    # As promql's histogram_quantile: 1 of 10 in the first bucket; 1.5 of the 3 in the second; the last of the 4 in the third.
    assert found["quantiles"][0] == {"value": 100, "from": 0, "to": 100}
    assert found["quantiles"][1] == {"value": 150, "from": 100, "to": 200}
    assert found["quantiles"][2] == {"value": 400, "from": 200, "to": 400}
    assert found["quantiles"][3]["value"] == 400 and found["none"] is None and found["one"] == 120
    buckets = counters(system, FRONTEND, "http_request_duration_seconds_bucket")
    assert {str(bound / 1000) for bound in found["bounds"]} | {"inf"} == {str(float(dict(key)["le"])) for key in buckets}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1366])
def test_looks(panel, artifacts, axe, width, scheme):
    page = panel(width=width, scheme=scheme)
    axe(page)
    page.locator(".load").screenshot(path=artifacts / f"load-idle-{width}-{scheme}.png")
    for name, value in ((FRONTEND, "10"), (ROLLER, "0")):
        page.locator(f"[data-fault={name}] [name=errors]").fill(value)
    page.locator(f"[data-fault={FRONTEND}]").get_by_role("button", name="Apply").click()
    begin(page, die="risky", times=3)
    wait_for_points(page, 6)
    page.locator(".load-plot").focus()
    page.keyboard.press("ArrowLeft")
    axe(page)
    page.locator(".load").screenshot(path=artifacts / f"load-{width}-{scheme}.png")
    if scheme == "light" and width > 640:
        page.emulate_media(forced_colors="active")
        page.locator(".load").screenshot(path=artifacts / f"load-{width}-forced.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "scrolls sideways"
    page.click(".load-form button")
    ended(page)


def test_in_firefox(system, firefox_browser):
    firefox = firefox_browser
    firefox.open(system.url(FRONTEND) + "/")
    firefox.wait("document.querySelector('.load:not([hidden]) .load-form button')")
    before = counters(system, FRONTEND, "http_requests_total")
    firefox.click(".load-form button")
    firefox.wait("document.querySelector('.load[data-state=running]')")
    firefox.wait("document.querySelector('.load[data-state=idle]')", seconds=30)
    answered = increase(counters(system, FRONTEND, "http_requests_total"), before, route="/roll")
    said = int(firefox.evaluate("document.querySelector('.load-totals [data-total=requests]').dataset.value"))
    assert said == sum(answered.values()) > 20
    assert firefox.take_faults() == []
