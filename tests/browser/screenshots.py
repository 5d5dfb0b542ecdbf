"""Makes the pictures of the documentation, and of every state of the page in all sizes and looks, by `make screenshots`.

Prints how many of the rolls' bars are visible without scrolling, how many sheets a print has, and what a visit costs.
DICE_BIN: folder of the programs (default build/release/bin). ARTIFACTS: folder for all other pictures.
"""

import contextlib
import os
import pathlib
import re
import tempfile

from playwright.sync_api import sync_playwright

import states
from conftest import ROOT, contract, run
from measure import BYTES_PER_SECOND, LATENCY_MS, Load, cancel, heap, slow_network, watch_frames
from programs import CHROMIUM, ENVIRONMENT, FLAGS

ARTIFACTS = pathlib.Path(os.environ.get("ARTIFACTS", ROOT / "build/artifacts"))
# What is shown at which width in the documentation.
PICTURES = {ROOT / "docs/page.png": (states.readme, 1440), ROOT / "docs/compare.png": (states.readme_compare, 1440)}
SIZES = [(390, 844), (1366, 768), (1920, 1080)]
LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "forced-colors": {"forced_colors": "active"},
         "print": {"media": "print"}}
SCREEN = {"media": "screen", "color_scheme": "light", "forced_colors": "none"}
VISIBLE = """() => {
    scrollTo(0, 0);
    const bars = [...document.querySelectorAll('.bar[data-kind=roll]')];
    const visible = bars.filter(bar => bar.getBoundingClientRect().bottom <= innerHeight);
    return bars.length && `${visible.length}/${bars.length}`;
}"""
# Rolls in the documentation take longer than in the tests.
DELAYS = {"ROLL_DELAY_MIN_SECONDS": 0.2, "ROLL_DELAY_MAX_SECONDS": 1}


@contextlib.contextmanager
def services(**environment):
    with tempfile.TemporaryDirectory() as logs:
        system = run.System(contract.default_bin(), logs, free_ports=True)
        system.start({"all": {**ENVIRONMENT, **environment}})
        try:
            yield system
        finally:
            system.stop()


@contextlib.contextmanager
def opened(browser, system, width=1366, height=768, prepare=None):
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    try:
        page = context.new_page()
        if prepare:
            prepare(page)
        page.goto(system.page + "/")
        page.wait_for_selector("#roll:enabled")
        yield page
    finally:
        context.close()


def draw_all(browser, system, wanted):
    """Screenshots of the states in every size and look, and what comes out of the printer."""
    for state in wanted:
        said = []
        for width, height in SIZES:
            with opened(browser, system, width, height) as page:
                state(page)
                said.append(f"{page.evaluate(VISIBLE) or '-':>5}")
                for look, media in LOOKS.items():
                    page.emulate_media(**{**SCREEN, **media})
                    page.screenshot(path=ARTIFACTS / f"{state.__name__}-{width}x{height}-{look}.png", full_page=True)
        with opened(browser, system) as page:
            state(page)
            printed = page.pdf(path=ARTIFACTS / f"{state.__name__}.pdf", prefer_css_page_size=True)
            sheets = len(re.findall(rb"/Type\s*/Page\b", printed))
        print(f"{state.__name__:15} {'  '.join(said)}  {sheets:6}", flush=True)


def measure_visits(browser, system):
    loads = []

    def prepare(page):
        slow_network(page)
        loads.append(Load(page))

    with opened(browser, system, prepare=prepare) as page:
        for visit in ("first visit", "reload"):
            if visit == "reload":
                loads.append(Load(page))
                page.reload()
            load = loads[-1].wait()
            print(f"{visit}: {load.bytes} bytes in {len(load.requests)} requests, "
                  f"ready to roll after {load.round_trips} round trips, {load.ready_after:.2f} s")


def measure_cancel(browser, system):
    with opened(browser, system) as page:
        states.ask(page, times=20, concurrency=1)
        page.click("#roll")
        page.wait_for_selector(".bar[data-state=open]")
        page.wait_for_selector(".die[data-state=ok]")
        took = cancel(page)
        print(f"cancelled rolls drawn {took:.0f} ms after the click")


def measure_load(browser, system):
    with opened(browser, system) as page:
        states.ask(page, times=3)
        before = None
        for seconds in ("10", "60"):  # the first run warms the page up
            page.select_option(".load [name=seconds]", seconds)
            frames = watch_frames(page)
            page.click(".load-form button")
            page.wait_for_selector(".load[data-state=running]")
            page.wait_for_selector(".load:not([data-state=running])", timeout=90_000)
            seen, after = frames(), heap(page)
            if before:
                print(f"load panel, {seconds} s: longest gap between frames {seen['longestGapMs']:.0f} ms, "
                      f"memory {before / 1e6:.2f} -> {after / 1e6:.2f} MB")
            before = after


def main():
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with services(**DELAYS) as system:
            for path, (state, width) in PICTURES.items():
                with opened(browser, system, width, 900) as page:
                    state(page)
                    page.screenshot(path=path, full_page=True)
        with services() as system:
            print(f"{LATENCY_MS} ms away, {BYTES_PER_SECOND // 1000} KB/s:")
            measure_visits(browser, system)
            measure_cancel(browser, system)
            print(f"\n{'bars visible at':15} {'  '.join(f'{width}x{height}' for width, height in SIZES)}  sheets")
            draw_all(browser, system, states.STATES)
        with services(FAULTS_ENABLED="true") as system:
            measure_load(browser, system)
            draw_all(browser, system, [states.load])
        browser.close()


if __name__ == "__main__":
    main()
