"""The measures see what they are made for."""

import pytest

from measure import Load, heap, slow_network, watch_frames


def test_frames(page):
    frames = watch_frames(page)
    page.wait_for_function("() => frames_watched.frames > 5")
    page.evaluate("() => void setTimeout(() => { for (const end = performance.now() + 200; performance.now() < end;); })")
    page.wait_for_function("() => frames_watched.longestGapMs >= 200 && Math.max(...frames_watched.longTasksMs) >= 200")
    seen = frames()
    assert seen["frames"] > 5 and seen["longestGapMs"] >= 200 and max(seen["longTasksMs"]) >= 200


def test_heap(page):
    before = heap(page)
    page.evaluate("() => { window.held = Array.from({length: 1e6}, (_, i) => ({i})); }")
    assert heap(page) > before + 10_000_000
    page.evaluate("() => { delete window.held; }")
    assert heap(page) < before + 1_000_000


@pytest.mark.parametrize("chain", [1, 4])
def test_round_trips(page, chain):
    """One request after another, or all together."""
    page.route("**/chain", lambda route: route.fulfill(content_type="text/html", body=f"""
        <link rel="icon" href="data:,"><button id="roll" disabled></button><script>(async () => {{
                for (let i = 1; i < {chain}; i++) await (await fetch(`api/config`, {{cache: 'no-store'}})).json();
                await Promise.all([1, 2].map(() => fetch('api/config', {{cache: 'no-store'}})));
                document.getElementById('roll').disabled = false;
            }})();</script>"""))
    slow_network(page)
    load = Load(page)
    page.goto(page.url + "chain")
    assert load.wait().round_trips == 1 + chain
