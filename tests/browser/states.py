"""States of the page, made as a visitor makes them. Each function gets a page that is ready to roll."""


def ask(page, die="fair", times=None, strategy="all-or-nothing", concurrency=None, seed=None):
    page.select_option("#die", die)
    page.set_checked("#async", times is not None)
    if times is not None:
        page.fill("#times", str(times))
        page.fill("#concurrency", "" if concurrency is None else str(concurrency))
        page.select_option("#strategy", strategy)
        if seed is not None:
            page.fill("#seed", str(seed))


def settle(page, state="done"):
    page.wait_for_selector(f"#run[data-state={state}]")
    page.wait_for_selector("#trace[data-complete=true]")


def roll(page, state="done", **how):
    ask(page, **how)
    page.click("#roll")
    settle(page, state)


def compare_rolls(page, timeout=60_000, **how):
    """Rolls many times, one after another."""
    ask(page, **how)
    page.click("#compare")
    page.wait_for_selector("#run:not([data-state=rolling])", timeout=timeout)
    settle(page)


def spans_of(page, trace):
    """The spans of a trace as the service has them."""
    answer = page.request.get(f"{page.url.partition('?')[0]}api/traces/{trace}").json()
    return [span for part in answer["resourceSpans"] for scope in part["scopeSpans"] for span in scope["spans"]]


def readme(page):
    """The README describes it: six values, four failures."""
    roll(page, die="risky", times=10, strategy="best-effort", seed=7)


def empty(page):
    pass


def once(page):
    page.click("#roll")
    settle(page)


def batch(page):
    roll(page, times=10)


def readme_compare(page):
    """What docs/page.md shows."""
    compare_rolls(page, times=10, strategy="best-effort", seed=7)


def failures(page):
    roll(page, die="risky", times=20, strategy="best-effort")


def stopped(page):
    roll(page, "failed", die="risky", times=20)


def compare(page):
    compare_rolls(page, times=6)


def first_success(page):
    roll(page, die="risky", times=10, strategy="first-success")


def cancelled(page):
    ask(page, times=20, concurrency=1)
    page.click("#roll")
    page.wait_for_selector("#run[data-state=rolling]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#run:not([data-state=rolling])")
    page.wait_for_selector(".die[data-state=cancelled]")


def running(page):
    ask(page, times=20, concurrency=1)
    page.click("#roll")
    page.wait_for_selector(".bar[data-state=open]")


def details(page):
    failures(page)
    page.wait_for_selector("#logs:not([hidden])")
    page.click("#logs summary")
    page.locator(".row").nth(7).click()
    page.wait_for_selector("#details:not([hidden])")


def gone(page):
    page.goto(page.url.partition("?")[0] + "?trace=" + "a" * 32)
    page.wait_for_selector("#problem[data-code=trace_not_found]")


def load(page):
    """Needs FAULTS_ENABLED."""
    ask(page, times=5)
    page.select_option(".load-form select", "10")
    page.click(".load-form button")
    page.wait_for_selector(".load[data-state=running]")
    page.wait_for_selector(".load[data-state=idle]", timeout=30_000)


STATES = [empty, once, running, batch, failures, stopped, compare, first_success, cancelled, details, gone]
