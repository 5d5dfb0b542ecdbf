"""The page in Firefox."""


def count(firefox, selector):
    return firefox.evaluate(f"document.querySelectorAll({selector!r}).length")


def rolled(firefox, dice):
    firefox.wait("document.querySelector('#run[data-state=done]')")
    firefox.wait(f"document.querySelectorAll('.die[data-state=ok]').length === {dice}")
    firefox.wait("document.querySelector('#trace[data-complete=true]')")


def test_roll_once(firefox, artifacts):
    firefox.screenshot(artifacts / "firefox-empty.png")
    firefox.click("#roll")
    rolled(firefox, 1)
    assert count(firefox, ".bar[data-kind=roll]") == 1
    firefox.screenshot(artifacts / "firefox-once.png")


def test_twenty_at_once_overlap(firefox, artifacts):
    firefox.click("#async")
    firefox.fill("#times", "20")
    firefox.click("#roll")
    rolled(firefox, 20)
    rolls = firefox.evaluate("""[...document.querySelectorAll('.bar[data-kind=roll]')].map(bar => {
        const box = bar.getBoundingClientRect();
        return {start: +bar.dataset.startMs, end: +bar.dataset.endMs, width: box.width, height: box.height};
    })""")
    assert len(rolls) == 20 and all(roll["width"] > 0 and roll["height"] > 0 for roll in rolls)
    assert max(sum(other["start"] <= roll["start"] < other["end"] for other in rolls) for roll in rolls) > 10
    firefox.screenshot(artifacts / "firefox-batch.png")


BARS = "document.querySelectorAll('.bar[data-kind=roll]').length"


def roll(firefox, times, button="#roll", **fields):
    firefox.click("#async")
    for name, value in {"times": times, **fields}.items():
        firefox.fill(f"#{name}", str(value))
    firefox.click(button)


def test_waterfall_fills_while_the_rolls_run(firefox, firefox_browser, slow_url):
    firefox_browser.open(slow_url + "/")
    firefox.wait("document.querySelector('#roll:enabled')")
    roll(firefox, 20)
    firefox.wait(f"document.querySelector('#run[data-state=rolling]') && {BARS} >= 15")
    firefox.wait("document.querySelector('#run[data-state=rolling] .die[data-state=ok]')")
    rolled(firefox, 20)


def test_cancel_shows_what_really_happened(firefox, firefox_browser, slow_url):
    firefox_browser.open(slow_url + "/")
    firefox.wait("document.querySelector('#roll:enabled')")
    roll(firefox, 20, concurrency=1)
    firefox.wait("document.querySelector('.die[data-state=ok]')")
    firefox.click("#cancel")
    firefox.wait("document.querySelectorAll('.die[data-state=cancelled]').length > 10")
    firefox.wait("document.querySelector('#trace[data-complete=true]')")
    firefox.wait("document.querySelector('#verdict').textContent.startsWith('Cancelled after')")


def test_link_and_comparison(firefox, artifacts):
    roll(firefox, 4, "#compare")
    rolled(firefox, 8)
    firefox.wait("document.querySelectorAll('#sweep tbody tr').length === 3")
    shown = "['#parts', '#verdict', '#sweep table'].map(selector => document.querySelector(selector).innerText)"
    before = firefox.evaluate(shown)
    firefox.screenshot(artifacts / "firefox-compare.png")
    firefox.go(firefox.evaluate("location.href"))
    firefox.wait("document.querySelector('#trace[data-complete=true]') && document.querySelectorAll('#sweep tbody tr').length === 3")
    assert firefox.evaluate(shown) == before


def test_faults_are_seen(firefox):
    """Those that `firefox` looks for."""
    firefox.evaluate("fetch('http://example.com/').catch(() => null)")
    firefox.evaluate("void setTimeout(() => { throw Error('thrown') })")
    policy, thrown = firefox.take_faults()
    assert "connect-src" in policy and "thrown" in thrown
