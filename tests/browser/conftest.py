"""A real browser: the Chromium of the machine, driven by playwright, and what is asked of every page."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from botkit.errors import BotkitError
from botkit.model.tokens import Secret
from botkit.wizard.callback_server import CallbackServer
from tests.browser.judge import JUDGE
from tests.crash.conftest import free_port

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WIDTHS = (1280, 375)
SCHEMES = ("light", "dark")

Finish = Callable[[Secret], Awaitable[tuple[tuple[str, str], ...]]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Closed with the module: playwright keeps an event loop of its own in this thread."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is here: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
        yield browser
        browser.close()


class Visitor:
    """A person at the browser who notices everything.

    Attributes:
        origins: Where requests went.
        complaints: What the browser's console said.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.origins: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", self._asked)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self.origins.add(f"{parts.scheme}://{parts.netloc}")

    def _heard(self, message: ConsoleMessage) -> None:
        # A page with a status of its own is named there; the page is what is judged.
        if "the server responded with a status of" not in message.text:
            self.complaints.append(message.text)

    def judge(self) -> None:
        """Hold the page that is shown to what every page must be."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                faults = self.page.evaluate(JUDGE)
                assert faults == [], f"{self.page.title()} at {width} px, {scheme}: {faults}"
        self._judge_focus()
        assert self.complaints == []

    def _judge_focus(self) -> None:
        """Tab reaches what can be used, in the order of the page, and one sees where one is."""
        wanted = self.page.evaluate(
            "[...document.querySelectorAll('a[href],button,select,input:not([type=hidden])')]"
            ".map((each) => each.outerHTML.slice(0, 80))"
        )
        self.page.evaluate("document.activeElement.blur()")
        for each in wanted:
            self.page.keyboard.press("Tab")
            reached, seen = self.page.evaluate(
                "(() => { const at = document.activeElement, style = getComputedStyle(at);"
                " return [at.outerHTML.slice(0, 80),"
                " style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1] })()"
            )
            assert (reached, seen) == (each, True)


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    yield Visitor(context.new_page())
    context.close()


@contextmanager
def waiting(finish: Finish) -> Iterator[str]:
    """A callback server that waits in a thread; gives the address that it waits on."""
    address = f"http://127.0.0.1:{free_port()}/callback"
    ready, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with CallbackServer(address, finish) as server:
            ready.set()
            await end.wait()
            with suppress(BotkitError, TimeoutError):
                async with asyncio.timeout(0.1):
                    await server.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(20)
        loop.close()
