"""Chromium without a screen, driven by its DevTools protocol over two pipes: nothing but Python's own
library, and no port is opened. https://chromedevtools.github.io/devtools-protocol/"""

import json
import subprocess
import tempfile
import time

FLAGS = """--headless=new --remote-debugging-pipe --no-first-run --no-default-browser-check --no-sandbox
    --disable-gpu --disable-dev-shm-usage --disable-background-networking --disable-component-update
    --disable-extensions --disable-sync --hide-scrollbars --force-color-profile=srgb""".split()
# Keys by name: code, and what they type.
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "End": (35, ""), "Home": (36, ""), "ArrowLeft": (37, ""),
        "ArrowRight": (39, "")}


class Chrome:
    """A browser with a profile of its own. `with Chrome(path) as chrome: page = chrome.page()`"""

    def __init__(self, program):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # Chromium reads orders from descriptor 3 and answers on 4, each message ended by a zero byte.
        # Every name leads nowhere: what would be fetched fails, and is seen.
        command = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1', "sh", program, *FLAGS,
                   f"--user-data-dir={self.profile.name}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.n_sent, self.rest, self.pages = 0, b"", {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
        except EOFError:
            pass
        self.process.wait(20)
        self.profile.cleanup()

    def read(self):
        """The next message; events go to their page."""
        while b"\0" not in self.rest:
            more = self.process.stdout.read1(1 << 20)
            if not more:
                raise EOFError("Chromium has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message and message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].events.append((message["method"], message["params"]))
        return message

    def call(self, method, session=None, **params):
        self.n_sent += 1
        order = {"id": self.n_sent, "method": method, "params": params}
        if session:
            order["sessionId"] = session
        self.process.stdin.write(json.dumps(order).encode() + b"\0")
        self.process.stdin.flush()
        while (answer := self.read()).get("id") != self.n_sent:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, path, **how):
        return Page(self, path, **how)


class Page:
    """A file in a tab of its own. `events` is all that the browser told of it."""

    def __init__(self, chrome, path, width=1400, height=900, dark=False, script=True):
        self.chrome, self.script, self.events = chrome, script, []
        self.target = chrome.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = chrome.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        chrome.pages[self.session] = self
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.chrome.call("Target.closeTarget", targetId=self.target)

    def call(self, method, **params):
        return self.chrome.call(method, self.session, **params)

    def wait(self, event):
        while not self.told(event):
            self.chrome.read()

    def told(self, event):
        return [params for name, params in self.events if name == event]

    def js(self, expression):
        """The value of an expression in the page; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def settle(self):
        """Waits until what was done is drawn; without script nothing tells."""
        if not self.script:
            time.sleep(0.2)
            return
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def mouse(self, kind, x, y):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def box(self, selector):
        """Left, top, width and height of an element, brought into sight."""
        return self.js(f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{ block: "center", behavior: "instant" }});
            const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }})()""")

    def click(self, selector, at=0.5):
        x, y, width, height = self.box(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x + at * width, y + height / 2)
        self.settle()

    def drag(self, selector, start, end):
        """Yields while the button is held, after each of five steps."""
        x, y, width, height = self.box(selector)
        self.mouse("mousePressed", x + start * width, y + height / 2)
        for step in range(1, 6):
            self.mouse("mouseMoved", x + (start + (end - start) * step / 5) * width, y + height / 2)
            self.settle()
            yield
        self.mouse("mouseReleased", x + end * width, y + height / 2)
        self.settle()

    def press(self, key, shift=False):
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                      text=text if kind == "keyDown" else "", modifiers=8 if shift else 0)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, **clip):
        clip = {"clip": {**clip, "scale": 1}} if clip else {}
        return self.call("Page.captureScreenshot", format="png", **clip)["data"]
