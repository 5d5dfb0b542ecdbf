"""What the page costs: bytes and round trips of its load, gaps between frames, memory. In Chromium, over CDP."""

import dataclasses

LATENCY_MS, BYTES_PER_SECOND = 400, 50_000

READY = """(() => {
    const look = () => {
        if (!document.querySelector('#roll:enabled')) return;
        window.readyAfterMs = performance.now();
        seen.disconnect();
    };
    const seen = new MutationObserver(look);
    seen.observe(document, {attributes: true, childList: true, subtree: true});
})()"""

FRAMES = """() => {
    window.frames_watched?.stop();
    const watched = window.frames_watched = {frames: 0, longestGapMs: 0, longTasksMs: []};
    let last, next;
    const frame = () => {
        const now = performance.now();  // what the callback is given is the time of the frame that it was meant for
        watched.longestGapMs = Math.max(watched.longestGapMs, now - (last ?? now));
        watched.frames++;
        last = now;
        next = requestAnimationFrame(frame);
    };
    next = requestAnimationFrame(frame);
    const tasks = new PerformanceObserver(list =>
        watched.longTasksMs.push(...list.getEntries().map(task => task.duration)));
    tasks.observe({type: 'longtask'});
    watched.stop = () => { cancelAnimationFrame(next); tasks.disconnect(); };
}"""


def slow_network(page):
    """A far and narrow network from now on: each request waits for LATENCY_MS, all share BYTES_PER_SECOND."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", {
        "offline": False, "latency": LATENCY_MS,
        "downloadThroughput": BYTES_PER_SECOND, "uploadThroughput": BYTES_PER_SECOND})


@dataclasses.dataclass
class Asked:
    """One request. Times are seconds of the browser's clock; `bytes` came over the wire, headers included."""
    url: str
    created: float
    sent: float = None
    answered: float = None
    status: int = None
    bytes: int = None


class Load:
    """Records what a page asks for from now on. `ready_after`: seconds from the navigation to the first `#roll:enabled`."""

    def __init__(self, page):
        self._page, self._asked, self._statuses = page, {}, {}
        session = page.context.new_cdp_session(page)
        for event, handle in (("requestWillBeSent", self._on_request), ("responseReceived", self._on_response),
                              ("responseReceivedExtraInfo", self._on_status), ("loadingFinished", self._on_end)):
            session.on(f"Network.{event}", handle)
        session.send("Network.enable")
        page.add_init_script(READY)

    def _on_request(self, event):
        if event["request"]["url"].startswith("http"):
            self._asked[event["requestId"]] = Asked(event["request"]["url"], event["timestamp"])

    def _on_response(self, event):
        if one := self._asked.get(event["requestId"]):
            timing = event["response"].get("timing")
            one.sent = timing["requestTime"] + timing["sendStart"] / 1000 if timing else one.created
            one.answered = event["timestamp"]
            one.status = event["response"]["status"]

    def _on_status(self, event):  # of the wire: 304, where the page sees the cached 200
        self._statuses[event["requestId"]] = event["statusCode"]

    def _on_end(self, event):
        if one := self._asked.get(event["requestId"]):
            one.bytes = int(event["encodedDataLength"])

    def wait(self):
        """Until the page is ready to roll and has all that it asked for."""
        self._page.wait_for_selector("#roll:enabled", timeout=30_000)
        self._page.wait_for_load_state("networkidle", timeout=30_000)
        assert self.requests and all(one.bytes is not None for one in self.requests), f"not loaded: {self.requests}"
        return self

    @property
    def requests(self):
        return [dataclasses.replace(one, status=self._statuses.get(key, one.status))
                for key, one in self._asked.items()]

    @property
    def bytes(self):
        return sum(one.bytes for one in self.requests)

    @property
    def ready_after(self):
        return self._page.evaluate("readyAfterMs") / 1000

    @property
    def round_trips(self):
        """The longest chain of requests, each sent after the answer to the one before, until the page was ready.

        On a slow network, these are what a visitor waits for. A slow machine can only add to them."""
        ready = min(one.created for one in self.requests) + self.ready_after
        needed = [one for one in self.requests if one.sent and one.answered <= ready]
        trips = []
        for one in sorted(needed, key=lambda one: one.sent):
            before = [depth for answered, depth in trips if answered <= one.sent]
            trips.append((one.answered, 1 + max(before, default=0)))
        return max(depth for _, depth in trips)


def watch_frames(page):
    """Records frames from now on. Returns a function that says what came since: {frames, longestGapMs, longTasksMs}."""
    page.evaluate(FRAMES)
    return lambda: page.evaluate("() => { const {stop, ...seen} = window.frames_watched; return seen; }")


def heap(page):
    """Bytes of JavaScript in use, after a garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return int(metrics["JSHeapUsedSize"])


def cancel(page):
    """Cancels, and returns the milliseconds until the first roll is drawn as cancelled."""
    return page.evaluate("""async () => {
        const began = performance.now();
        document.querySelector('#cancel').click();
        while (!document.querySelector('.row[data-state=cancelled] .bar[data-kind=roll]')) await new Promise(requestAnimationFrame);
        return performance.now() - began;
    }""")
