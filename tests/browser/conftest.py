"""Runs the page in Chromium and Firefox with the real services on free ports.

DICE_BIN: folder of the programs (default build/release/bin). ARTIFACTS: folder for screenshots (default build/artifacts).
"""

import os
import pathlib
import sys
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import contract  # noqa: E402
import run  # noqa: E402

from accessibility import violations  # noqa: E402
from firefox import Firefox  # noqa: E402
from programs import CHROMIUM, ENVIRONMENT, FLAGS  # noqa: E402


@pytest.fixture(scope="session")
def system(tmp_path_factory):
    system = run.System(contract.default_bin(), tmp_path_factory.mktemp("logs"), free_ports=True)
    system.start({"all": ENVIRONMENT})
    yield system
    codes = system.stop()
    assert set(codes.values()) <= {0}, f"a service did not stop cleanly: {codes}"


@pytest.fixture(scope="session")
def slow_url(tmp_path_factory):
    """The page of services whose rolls take as long as they do by default, with a minimum."""
    system = run.System(contract.default_bin(), tmp_path_factory.mktemp("slow"), free_ports=True)
    system.start({"all": {**ENVIRONMENT, "ROLL_DELAY_MIN_SECONDS": 0.3, "ROLL_DELAY_MAX_SECONDS": 1.2}})
    yield system.url("frontend")
    assert set(system.stop().values()) <= {0}


@pytest.fixture
def fragile(system):
    """The system, whose parts a test may stop; all are restarted afterwards."""
    yield system
    for name in system.urls:
        if not system.running(name):
            system.start_one(name)
    system.wait_ready()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(system, browser):
    """Opens the page; at the end, no page may have contacted another host, violated the content security policy or logged an error."""
    contexts, faults = [], []
    hosts = {urlsplit(system.url("frontend")).netloc}

    def on_console(message):
        # Chromium logs every response with a status of 400 or more; how the page handles them is tested.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            faults.append(f"console: {message.text}")

    def open_page(width=1280, scheme="light", prepare=None, ready=True, url=system.url("frontend"), search=""):
        hosts.add(urlsplit(url).netloc)
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: urlsplit(request.url).netloc in hosts or faults.append(f"request: {request.url}"))
        if prepare:
            prepare(page)
        page.goto(f"{url}/{search}")
        if ready:
            page.wait_for_selector("#roll:enabled")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, faults


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def axe():
    """axe(page, *looks) fails with what axe-core finds in the page as it is, or in each look (width, colour scheme)."""
    def axe(page, *looks):
        found = {}
        for look in looks or [None]:
            if look:
                page.set_viewport_size({"width": look[0], "height": 900})
                page.emulate_media(color_scheme=look[1])
            for violation in violations(page):
                found.setdefault(violation, []).append(look)
        if found:
            pytest.fail("\n".join(f"{where} {violation}" for violation, where in found.items()), pytrace=False)

    return axe


@pytest.fixture(scope="session")
def firefox_browser(tmp_path_factory):
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.close()


@pytest.fixture
def firefox(system, firefox_browser):
    """Firefox with the page, opened by a new visitor; at the end, nothing may have gone wrong, as for `open_page`."""
    firefox_browser.open(system.url("frontend") + "/")
    firefox_browser.wait("document.querySelector('#roll:enabled')")
    yield firefox_browser
    faults = firefox_browser.take_faults()
    assert not faults, faults


@pytest.fixture
def modules(page):
    """Serves the page's modules, which its app.js contains, one by one under src/."""
    page.route("**/src/*.js", lambda route: route.fulfill(path=ROOT / "services/frontend/web" / route.request.url.rpartition("/")[2]))


@pytest.fixture(scope="session")
def artifacts():
    folder = pathlib.Path(os.environ.get("ARTIFACTS", ROOT / "build/artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
