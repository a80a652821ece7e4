"""What a page with a form or a way onward holds beside the fixed text."""

from __future__ import annotations

from msgspec.structs import replace

from botkit.web.page_texts import BOT_PAGES, CONNECT_PAGES, INVITATION_PAGES
from botkit.web.pages import Page, render

PLAIN = Page(status=200, title="T", text="x", next_step="n")


def test_only_a_page_with_a_button_may_send_a_form_and_only_to_itself() -> None:
    _, headers = render(PLAIN)
    assert "form-action 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    body, headers = render(replace(PLAIN, button="Go", fields=(("a", '"><script>'),)))
    assert "form-action 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert b"<script>" not in body
    assert b'<button type="submit">Go</button>' in body


def test_a_way_onward_is_followed_and_can_be_clicked() -> None:
    body, _ = render(replace(PLAIN, onward="https://x.example/?a=1&b=2"))
    assert b'http-equiv="refresh" content="0; url=https://x.example/?a=1&amp;b=2"' in body
    assert b'<a href="https://x.example/?a=1&amp;b=2">' in body


def test_what_is_shown_is_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    body, _ = render(replace(PLAIN, title=evil, facts=((evil, evil),), notes=(evil,)))
    assert b"<img" not in body


def test_every_page_of_the_bots_server_says_what_happened_and_what_to_do_next() -> None:
    for page in (*BOT_PAGES.values(), *CONNECT_PAGES.values(), *INVITATION_PAGES.values()):
        assert page.title
        assert page.text
        assert page.next_step
        assert page.good == (page is CONNECT_PAGES["success"])
        body, _ = render(page)
        assert body.count(b"<h1") == 1
        assert b'<html lang="en">' in body
        assert b"<script" not in body


def test_what_goes_on_is_marked_by_an_arrow_and_what_does_not_by_more() -> None:
    for page, mark in (
        (replace(PLAIN, good=True), "\u2713"),
        (replace(PLAIN, button="Go"), "\u2192"),
        (replace(PLAIN, onward="https://x.example"), "\u2192"),
        (PLAIN, "!"),
    ):
        assert f'data-mark="{mark}"' in render(page)[0].decode()
