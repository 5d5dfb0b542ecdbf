"""Drives Firefox over WebDriver BiDi, which needs no geckodriver (Debian 12 has none).

FIREFOX: the program (default /usr/bin/firefox-esr).
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
from urllib.parse import urlsplit

import websocket

FIREFOX = os.environ.get("FIREFOX", "/usr/bin/firefox-esr")
SECONDS = 20
# What Firefox would ask of the network by itself is switched off; a proxy where nothing listens stops the rest.
PREFERENCES = {
    "network.proxy.type": 1, "network.proxy.socks": "127.0.0.1", "network.proxy.socks_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1", "network.proxy.failover_direct": False,
    "network.proxy.allow_bypass": False, "services.settings.server": "data:,#remote-settings-dummy/v1",
    "media.gmp-manager.updateEnabled": False, "extensions.systemAddon.update.enabled": False,
    "ui.prefersReducedMotion": 1}


class Firefox:
    """One browser with one tab."""

    def __init__(self, profile):
        profile = pathlib.Path(profile)
        profile.mkdir(parents=True, exist_ok=True)
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines))
        self._faults, self._host, self._visitor, self._tab, self._sent = [], None, None, None, 0
        self._log = profile / "firefox.log"
        with self._log.open("w") as log:
            # A session of its own, so that all its processes can be ended together.
            self._process = subprocess.Popen(
                [FIREFOX, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
                env={**os.environ, "HOME": str(profile), "MOZ_DISABLE_NONLOCAL_CONNECTIONS": "1"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            address = self._address() + "/session"
            self._socket = websocket.create_connection(address, timeout=2 * SECONDS, suppress_origin=True)
            self.send("session.new", capabilities={})
            self.send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        except BaseException:
            self.close()
            raise

    def _address(self):
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(r"BiDi listening on (ws://\S+)", self._log.read_text(errors="replace"))):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{FIREFOX} does not listen: {self._log.read_text(errors='replace')[-2000:]}")
        return found[1]

    def send(self, method, **parameters):
        """Runs one command; takes note of the events that come before its answer."""
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv())).get("id") != self._sent:
            event = message["params"]
            if "request" in event:
                url = event["request"]["url"]
                # What is in the address itself, such as a font of the browser's own controls, is no request.
                urlsplit(url).netloc == self._host or url.startswith("data:") or self._faults.append(f"request: {url}")
            elif event["level"] in ("error", "warn"):
                self._faults.append(f"console: {event['text']}")
        if message["type"] == "error":
            raise RuntimeError(f"{method}: {message['message']}")
        return message["result"]

    def open(self, url, width=1280, height=900):
        """Opens the page for a new visitor, who has neither cookies nor memories."""
        before, self._host = self._visitor, urlsplit(url).netloc
        self._visitor = self.send("browser.createUserContext")["userContext"]
        self._tab = self.send("browsingContext.create", type="tab", userContext=self._visitor)["context"]
        if before:
            self.send("browser.removeUserContext", userContext=before)
        self.send("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})
        self.go(url)

    def go(self, url):
        self.send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def _run(self, expression):
        answer = self.send("script.evaluate", expression=expression, target={"context": self._tab}, awaitPromise=True)
        if answer["type"] == "exception":
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"]

    def evaluate(self, expression):
        """The value of an expression, or of the promise that it is, as JSON carries it."""
        return json.loads(self._run(f"(async () => JSON.stringify(await ({expression}) ?? null))()")["value"])

    def wait(self, condition, seconds=SECONDS):
        """Until an expression is true in the page."""
        assert self.evaluate(f"""new Promise(done => {{
            const deadline = performance.now() + {seconds * 1000}, late = () => performance.now() > deadline;
            const look = () => ({condition}) ? done(true) : late() ? done(false) : setTimeout(look, 20);
            look();
        }})"""), f"not within {seconds} s: {condition}"

    def take_faults(self):
        """Errors, violations of the content security policy and requests to other hosts, until now.

        Firefox tells them a little later, but in order; so one more is made, and waited for."""
        self._run("setTimeout(() => { throw Error('last of all') })")
        deadline = time.monotonic() + SECONDS
        while not (self._faults and self._faults[-1].endswith("last of all")):
            assert time.monotonic() < deadline, "errors do not arrive"
            self.evaluate("new Promise(done => setTimeout(done, 10))")
        faults, self._faults = self._faults[:-1], []
        return faults

    def click(self, selector):
        """With the mouse, as soon as the element is visible and enabled."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{found}?.checkVisibility() && !{found}.matches(':disabled')")
        element = self._run(f"{found}.scrollIntoView({{block: 'nearest', behavior: 'instant'}}), {found}")
        origin = {"type": "element", "element": {"sharedId": element["sharedId"]}}
        self._act("pointer", {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
                  {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def fill(self, selector, text):
        self._run(f"document.querySelector({json.dumps(selector)}).select()")
        self._act("key", *({"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")))

    def _act(self, kind, *actions):
        actions = [{"type": kind, "id": kind, "actions": actions}]
        self.send("input.performActions", context=self._tab, actions=actions)

    def screenshot(self, path):
        picture = self.send("browsingContext.captureScreenshot", context=self._tab, origin="document")
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))

    def close(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS)
