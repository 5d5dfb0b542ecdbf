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


def test_faults_are_seen(firefox):
    """Those that `firefox` looks for."""
    firefox.evaluate("fetch('http://example.com/').catch(() => null)")
    firefox.evaluate("void setTimeout(() => { throw Error('thrown') })")
    policy, thrown = firefox.take_faults()
    assert "connect-src" in policy and "thrown" in thrown
