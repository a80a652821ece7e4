"""Every page of the callback server in a browser: what it says, and that it asks nobody anything."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from botkit.errors import (
    AuthorizationDenied,
    BotkitError,
    InvalidGrant,
    LoginExpired,
    StateMismatch,
    WrongAccount,
)
from botkit.model.tokens import Secret
from botkit.web.page_texts import CALLBACK_PAGES
from tests.browser.conftest import Finish, Visitor, waiting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FACTS = (
    ("Account", "@greeter, id 2125671666112528385"),
    ("Scopes", "tweet.read tweet.write users.read offline.access"),
    ("greeter.welcome", f"<b>{'long' * 40}</b>"),
)
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
ENDS = {
    "success": None,
    "declined": AuthorizationDenied("no"),
    "wrong_account": WrongAccount("other"),
    "other_kept": WrongAccount("other", kept="known"),
    "expired": LoginExpired("late"),
    "failed": InvalidGrant("used"),
    "unknown": StateMismatch("old"),
}

SHOWN = {"success": [fact for _, fact in FACTS], "other_kept": ["@known"]}
"""The facts on a page, in their order."""


def ending(error: BotkitError | None) -> Finish:
    async def finish(_query: Secret) -> tuple[tuple[str, str], ...]:
        if error is not None:
            raise error
        return FACTS

    return finish


def as_post(page: Page) -> None:
    page.route("**/*", lambda route: route.continue_(method="POST"))


def as_put(page: Page) -> None:
    page.route("**/*", lambda route: route.continue_(method="PUT"))


def as_prefetch(page: Page) -> None:
    page.set_extra_http_headers({"Sec-Purpose": "prefetch;prerender"})


def from_elsewhere(page: Page) -> None:
    page.set_extra_http_headers({"Origin": "https://evil.example"})


def unchanged(page: Page) -> None:
    """An ordinary visit."""


OTHERS = {
    "not_found": (unchanged, "/callback/"),
    "wrong_method": (as_put, "/callback?code=1&state=2"),
    "prefetch": (as_prefetch, "/callback?code=1&state=2"),
    "refused": (from_elsewhere, "/callback?code=1&state=2"),
}


def look(visitor: Visitor, address: str, name: str) -> None:
    """Go there, and hold the page to its text and to what every page must be."""
    answer = visitor.page.goto(address)
    assert answer is not None
    page = CALLBACK_PAGES[name]
    assert answer.status == page.status
    assert {key: answer.headers.get(key) for key in HEADERS} == HEADERS
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src '")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    shown = visitor.page.inner_text("main")
    assert [page.title, page.text, page.next_step] == [
        text for text in (page.title, page.text, page.next_step) if text in shown
    ]
    visitor.judge()


@pytest.mark.parametrize("name", ENDS)
def test_the_page_at_the_end_of_a_login(visitor: Visitor, name: str) -> None:
    with waiting(ending(ENDS[name])) as address:
        look(visitor, f"{address}?code=c0de&state=st4te", name)

        assert visitor.origins == {address.removesuffix("/callback")}
        assert "c0de" not in visitor.page.content()
        facts = visitor.page.locator("dd").all_inner_texts()
        assert facts == SHOWN.get(name, [])


@pytest.mark.parametrize("name", OTHERS)
def test_the_page_of_what_is_no_end_of_a_login(visitor: Visitor, name: str) -> None:
    changed, path = OTHERS[name]
    with waiting(ending(None)) as address:
        changed(visitor.page)
        look(visitor, address.removesuffix("/callback") + path, name)

        assert visitor.origins == {address.removesuffix("/callback")}


def test_a_name_that_leads_to_the_same_server_is_another_server(visitor: Visitor) -> None:
    with waiting(ending(None)) as address:
        named = address.replace("127.0.0.1", "localhost")
        look(visitor, f"{named}?code=1&state=2", "misdirected")


def test_what_another_page_loads_never_reaches_the_login(visitor: Visitor) -> None:
    asked: list[str] = []

    async def finish(query: Secret) -> tuple[tuple[str, str], ...]:
        asked.append(query.reveal())
        return FACTS

    with waiting(finish) as address:
        forged = f"{address}?code=x&state=forged"
        loads = (
            f'<img src="{forged}"><iframe src="{forged}"></iframe><object data="{forged}"></object>'
            f'<script src="{forged}"></script><link rel="stylesheet" href="{forged}">'
            f'<link rel="prefetch" href="{forged}"><embed src="{forged}">'
        )
        loaded: set[str] = set()
        visitor.page.on("requestfailed", lambda request: loaded.add(request.resource_type))
        visitor.page.set_content(loads, wait_until="networkidle")
        # The browser blocks what the server has answered.
        assert {"image", "document", "script", "stylesheet"} <= loaded
        assert asked == []
        visitor.page.goto(f"{address}?code=c0de&state=st4te")
        assert asked == ["code=c0de&state=st4te"]


def test_every_page_was_looked_at() -> None:
    assert {*ENDS, *OTHERS, "misdirected"} == set(CALLBACK_PAGES)
