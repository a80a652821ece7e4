"""The pages that a browser shows: fixed text, nothing loaded, no script."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from botkit.web.page_texts import CALLBACK_PAGES
from botkit.web.pages import SECURITY_HEADERS, Page, render


class Elements(HTMLParser):
    """The elements of a page, and whether they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(page: Page) -> Elements:
    body, _ = render(page)
    found = Elements()
    found.feed(body.decode())
    assert found.open == []
    return found


@pytest.mark.parametrize("name", sorted(CALLBACK_PAGES))
def test_a_page_loads_nothing_and_runs_nothing(name: str) -> None:
    found = elements(CALLBACK_PAGES[name])
    forbidden = {"script", "link", "img", "iframe", "form", "a", "object", "base"}
    assert forbidden.isdisjoint(found.names)
    assert {"src", "href", "style", "onload", "http-equiv"}.isdisjoint(found.attributes)


@pytest.mark.parametrize("name", sorted(CALLBACK_PAGES))
def test_a_page_says_what_to_do_next_under_one_heading(name: str) -> None:
    body, _ = render(CALLBACK_PAGES[name])
    assert elements(CALLBACK_PAGES[name]).names.count("h1") == 1
    assert CALLBACK_PAGES[name].title in body.decode()
    assert CALLBACK_PAGES[name].next_step


@pytest.mark.parametrize("name", sorted(CALLBACK_PAGES))
def test_only_success_is_good(name: str) -> None:
    assert CALLBACK_PAGES[name].good is (name == "success")
    assert (CALLBACK_PAGES[name].status == 200) is (name in {"success", "declined"})


def test_headers_forbid_everything_but_the_pages_own_style() -> None:
    body, headers = render(CALLBACK_PAGES["success"])
    style = re.search(r"<style>(.*?)</style>", body.decode(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert set(SECURITY_HEADERS) < set(headers)


def test_rendering_leaves_the_template_of_the_headers_alone() -> None:
    _, headers = render(CALLBACK_PAGES["success"])
    headers["Cache-Control"] = "public"
    assert render(CALLBACK_PAGES["success"])[1]["Cache-Control"] == "no-store"


def test_facts_are_escaped() -> None:
    facts = (("Account", "<script>alert(1)</script>"), ("<b>", '" onload="x'))
    page = replace(CALLBACK_PAGES["success"], facts=facts)
    body = render(page)[0].decode()
    assert "<script>" not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert elements(page).names.count("dd") == 2
    assert "onload" not in elements(page).attributes


def test_a_page_without_facts_has_no_list() -> None:
    assert "dl" not in elements(CALLBACK_PAGES["unknown"]).names
