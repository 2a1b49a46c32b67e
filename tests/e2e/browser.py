# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that looks at one page."""

import base64
import json
import os
import subprocess
import time

from lab import LabError, wait_until


class Browser:
    """A window of so many pixels on a node; speaks the DevTools protocol over two pipes."""

    def __init__(self, node, page, width, height, scheme="light"):
        """`scheme`: the colours that its user prefers, light or dark."""
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # It reads from descriptor 3 and writes to 4.
        redirect = ["sh", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "sh"]
        self._process = subprocess.Popen(
            redirect + node.command(
                ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                 f"--user-data-dir={node.lab.dir / f'chromium-{scheme}'}", "about:blank"]),
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        os.set_blocking(self._in, False)
        self._calls, self._buffer, self._session = 0, b"", {}
        try:
            self._open(page, width, height, scheme)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._process.kill()
        self._process.wait(10)
        os.close(self._in)
        os.close(self._out)

    def _open(self, page, width, height, scheme):
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)
        self._call("Emulation.setEmulatedMedia",
                   features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("Page.navigate", url=page)

    def _call(self, method, **parameters):
        self._calls += 1
        os.write(self._out, json.dumps({"id": self._calls, "method": method, "params": parameters,
                                        **self._session}).encode() + b"\0")
        deadline = time.monotonic() + 20
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._calls:
                break
        if "error" in answer:
            raise LabError(f"Chromium: {method}: {answer['error']}")
        return answer["result"]

    def _next(self, deadline):
        """The next message: an answer, or an event."""
        while b"\0" not in self._buffer:
            try:
                more = os.read(self._in, 1 << 20)
                if not more:
                    raise LabError("Chromium has ended")
                self._buffer += more
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError("Chromium does not answer") from None
                time.sleep(0.01)
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def value(self, expression):
        """Of a JavaScript expression on the page."""
        return self._call("Runtime.evaluate", expression=expression)["result"].get("value")

    def wait_for(self, text):
        wait_until(lambda: self.value(f"document.body.innerText.includes({json.dumps(text)})"), 20,
                   f"{text!r} on the page", 0.1)

    def screenshot(self):
        """A PNG of the window."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
