"""How the page looks: sizes, colours, print, and what must be in view. The pictures are in ARTIFACTS."""

import re

import pytest
from playwright.sync_api import expect

import states
from states import ask, settle

SIZES = [(390, 844), (1366, 768), (1920, 1080)]
LOOKS = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}, "forced": {"forced_colors": "active"}, "contrast": {"contrast": "more"}, "print": {"media": "print"}}

# Relative luminance and contrast as in WCAG 2.2.
CONTRASTS = """() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
    const luminance = (color) => {
        const [r, g, b] = rgb(color).map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort(); return (y + 0.05) / (x + 0.05); };
    const ground = getComputedStyle(document.documentElement).backgroundColor;
    const found = {};
    for (let tone = 0; tone < 6; tone++) {
        const bar = document.body.appendChild(Object.assign(document.createElement('div'), {className: 'bar'}));
        bar.dataset.tone = tone;
        found[`outline ${tone}`] = contrast(getComputedStyle(bar).borderTopColor, ground);
        bar.remove();
    }
    for (const state of ['failed', 'cancelled']) {
        const bar = document.querySelector(`.row[data-state=${state}] .bar[data-kind=roll]`);
        if (bar) found[state] = contrast(getComputedStyle(bar).borderTopColor, ground);
    }
    return found;
}"""


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("width, height", SIZES)
def test_looks(open_page, artifacts, width, height, look):
    page = open_page()
    page.set_viewport_size({"width": width, "height": height})
    for state in (states.empty, states.failures, states.stopped):
        state(page)
        page.mouse.move(0, 0)
        page.emulate_media(**LOOKS[look])
        assert look == "print" or page.evaluate("document.documentElement.scrollWidth") <= width, f"{state.__name__} scrolls sideways"
        page.screenshot(path=artifacts / f"{state.__name__}-{width}-{look}.png", full_page=look == "print")
        page.emulate_media(color_scheme="null", forced_colors="null", contrast="null", media="null")


@pytest.mark.parametrize("state", [states.batch, states.failures, states.stopped, states.compare, states.first_success], ids=lambda state: state.__name__)
def test_print_is_one_landscape_page_without_the_form(open_page, artifacts, state):
    page = open_page()
    state(page)
    sheet = page.pdf(path=artifacts / f"{state.__name__}.pdf", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
    width, height = map(float, re.search(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)", sheet).groups())
    assert width > height
    page.emulate_media(media="print")
    for selector in ("#controls", "#history", "#tools", "#theme"):
        expect(page.locator(selector)).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.querySelector('.bar')).printColorAdjust") == "exact"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_bar_can_be_seen(open_page, scheme):
    page = open_page(scheme=scheme)
    states.stopped(page)
    found = page.evaluate(CONTRASTS)
    assert {"failed", "cancelled"} <= found.keys() and min(found.values()) >= 3, found


def test_bars_have_outlines_in_forced_colours(open_page):
    page = open_page()
    states.stopped(page)
    page.emulate_media(forced_colors="active")
    looks = page.eval_on_selector_all(".row", """rows => rows.map(row => {
        const bar = getComputedStyle(row.querySelector('.bar')), own = row.querySelector('.track > i');
        return [bar.borderTopStyle, bar.borderTopColor !== getComputedStyle(document.documentElement).backgroundColor, own ? getComputedStyle(own).backgroundImage : ''];
    })""")
    assert all(style in ("solid", "dashed") and visible for style, visible, _ in looks)
    assert any("gradient" in image for *_, image in looks), "patterns stay"


def in_view(page, height):
    return page.eval_on_selector_all(".bar[data-kind=roll]", f"bars => bars.filter(bar => bar.getBoundingClientRect().bottom <= {height}).length")


def test_all_ten_bars_are_in_view(open_page):
    page = open_page()
    page.set_viewport_size({"width": 1366, "height": 768})
    ask(page, die="risky", times=10, strategy="best-effort")
    page.click("#roll")
    page.wait_for_selector(".bar[data-state=open]")
    top = page.locator("#waterfall").bounding_box()["y"]
    settle(page)
    assert in_view(page, 768) == 10
    track = page.locator(".row .track").first.bounding_box()
    assert track["width"] >= 1366 * 0.4
    assert abs(page.locator("#waterfall").bounding_box()["y"] - top) < 30, "it stays where it was while the rolls ran"
    expect(page.locator(".row small").first).to_have_text("frontend")
    assert len(page.locator(".row small").all()) == 15, "each row names its service"


def test_hundred_dice_zoom_and_fold(page):
    page.evaluate("document.querySelector('#times').max = 200")  # the services of this test take no more than 20
    spans = [{"traceId": "c" * 32, "spanId": f"{i:016x}", "parentSpanId": "" if i == 1 else f"{1:016x}", "name": f"span {i}", "kind": 1,
              "startTimeUnixNano": str(1_790_000_000_000_000_000 + i * 1_000_000), "endTimeUnixNano": str(1_790_000_000_100_000_000 + i * 9_000_000),
              "attributes": [] if i == 1 else [{"key": "async.roll_index", "value": {"intValue": str(i - 2)}}, {"key": "die.result", "value": {"intValue": "3"}}]}
             for i in range(1, 102)]
    page.route("**/api/traces/*", lambda route: route.fulfill(json={"complete": True, "resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    page.goto(page.url.partition("?")[0] + "?trace=" + "c" * 32)
    settle(page)
    expect(page.locator(".die[data-value='3']")).to_have_count(100)
    expect(page.locator("#compact")).to_be_checked()
    height = page.locator("#waterfall").bounding_box()["height"]
    assert height < 900
    page.uncheck("#compact")
    assert page.locator("#waterfall").bounding_box()["height"] > 2 * height
    end = lambda: float(page.locator(".axis").get_attribute("data-end-ms"))
    whole = end()
    page.click("#zoom-in")
    assert end() < whole
    page.click("#zoom-reset")
    assert end() == whole
    axis = page.locator(".axis .track").bounding_box()
    page.mouse.move(axis["x"] + axis["width"] * 0.25, axis["y"] + 8)
    page.mouse.down()
    page.mouse.move(axis["x"] + axis["width"] * 0.5, axis["y"] + 8, steps=4)
    page.mouse.up()
    assert end() == pytest.approx(whole / 2, rel=0.02)
    page.locator(".row").first.focus()
    page.keyboard.press("0")
    assert end() == whole
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".row")).to_have_count(101)
    page.locator(".fold").first.click()
    expect(page.locator(".row")).to_have_count(1)


def test_theme_for_projectors(page):
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) == light
    page.click("#theme")
    expect(page.locator("#theme")).to_have_text("Theme: dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("#roll:enabled")
    assert page.evaluate(ground) == dark


def test_title_tells_what_happened(page):
    assert page.title() == "Dice"
    states.batch(page)
    assert re.fullmatch(r"10 × fair, all at once: total \d+ · Dice", page.title())
    states.stopped(page)
    assert page.title() == "20 × risky, all at once: batch failed · Dice"


def test_verdict_is_announced_once(page):
    page.evaluate("""() => {
        window.said = [];
        new MutationObserver(() => said.push(document.querySelector('#verdict').textContent)).observe(document.querySelector('#verdict'), {childList: true, characterData: true, subtree: true});
    }""")
    assert page.get_attribute("#verdict", "role") == "status" and page.get_attribute("#problem", "role") == "alert"
    states.batch(page)
    assert [one for one in page.evaluate("said") if one] == [page.inner_text("#verdict")]


def test_without_scripts_the_page_says_so(browser, system):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(system.url("frontend") + "/")
    expect(page.locator("noscript .notice")).to_contain_text("This page needs JavaScript.")
    context.close()
