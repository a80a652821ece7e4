"""The pages that a browser shows at the end of a login: fixed text, nothing loaded, no script.

Source: docs/explanation/requirements.md, L8: no echo of parameters, no third-party resource,
strict headers.
"""

from __future__ import annotations

import base64
import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING

import jinja2
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PAGES", "SECURITY_HEADERS", "Page", "render"]

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none';"
            " form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
)


class Page(Struct, frozen=True, kw_only=True):
    """One answer to the browser. `facts` are shown escaped, a label and a text each."""

    status: int
    title: str
    text: str
    next_step: str
    good: bool = False
    facts: tuple[tuple[str, str], ...] = ()


PAGES: Mapping[str, Page] = MappingProxyType(
    {
        "success": Page(
            status=200,
            title="The account is authorized",
            text="botkit has stored the login, sealed. You can close this page.",
            next_step="Go back to the terminal: it says what comes next.",
            good=True,
        ),
        "declined": Page(
            status=200,
            title="Authorization was declined",
            text="Nothing was stored and nothing was changed.",
            next_step="To authorize after all, run botkit setup again.",
        ),
        "failed": Page(
            status=502,
            title="The login could not be finished",
            text="X did not accept the login, or it could not be stored. Nothing was changed.",
            next_step="The terminal says why. Then run botkit setup again.",
        ),
        "wrong_account": Page(
            status=409,
            title="That is another account",
            text="The browser is logged in to X as another account. Nothing was stored.",
            next_step="Log in to X as the bot's account, then run botkit setup again.",
        ),
        "expired": Page(
            status=410,
            title="This login has expired",
            text="A login must be finished within ten minutes. Nothing was stored.",
            next_step="Run botkit setup again.",
        ),
        "unknown": Page(
            status=400,
            title="This address does not belong to the login that is waiting",
            text="It may be from an earlier try. The login goes on waiting.",
            next_step="Use the page that X opened last, or run botkit setup again.",
        ),
        "not_found": Page(
            status=404,
            title="There is nothing here",
            text="This server only waits for the end of a login.",
            next_step="Finish the login on X's page.",
        ),
        "method": Page(
            status=405,
            title="This is not how a login ends",
            text="Only a browser's ordinary request is answered here.",
            next_step="Finish the login on X's page.",
        ),
        "misdirected": Page(
            status=421,
            title="This request was meant for another server",
            text="Its Host header is not the address that this server waits on.",
            next_step="Finish the login on X's page.",
        ),
        "prefetch": Page(
            status=503,
            title="Not yet",
            text="A page fetched in advance does not end a login.",
            next_step="Open the page itself.",
        ),
        "refused": Page(
            status=400,
            title="The request was refused",
            text="It does not look like the end of a login.",
            next_step="Finish the login on X's page.",
        ),
    }
)

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.125rem/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;"
    "padding:0 1.5rem}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}"
    "h1::before{display:block;font-size:2.5rem;content:attr(data-mark);line-height:1.2}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1.5rem 0}"
    "dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}"
    ".next{border-left:.25rem solid;padding-left:1rem}"
)

_TEMPLATE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ page.title }} - botkit</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1 data-mark="{{ mark }}">{{ page.title }}</h1>
<p>{{ page.text }}</p>
{% if page.facts %}<dl>
{% for label, fact in page.facts %}<dt>{{ label }}</dt><dd>{{ fact }}</dd>
{% endfor %}</dl>
{% endif %}<p class="next">{{ page.next_step }}</p>
</main>
</body>
</html>
"""
)


def render(page: Page) -> tuple[bytes, dict[str, str]]:
    """The page's bytes and headers."""
    body = _TEMPLATE.render(page=page, style=_STYLE, mark="\u2713" if page.good else "\u2013")
    headers = dict(SECURITY_HEADERS)
    headers["Content-Security-Policy"] = headers["Content-Security-Policy"].format(
        style=_style_hash()
    )
    headers["Content-Type"] = "text/html; charset=utf-8"
    return body.encode(), headers


def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
