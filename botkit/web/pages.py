"""Pages for a browser: one heading, what happened, the next step; no script, nothing loaded.

Source: docs/explanation/requirements.md, L8 and D4: no echo of parameters, no third-party
resource, strict headers.
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

__all__ = ["SECURITY_HEADERS", "Page", "render"]

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
)
"""The headers of every answer; a page allows its own style and form on top."""


class Page(Struct, frozen=True, kw_only=True):
    """A page for the browser. Every text is escaped when it is rendered.

    Attributes:
        good: Whether the page reports a success.
        facts: Pairs of a label and a text.
        notes: Paragraphs to read before the next step.
        button: The label of the form's button, "" for a page without a form.
        fields: The form's hidden fields; it is posted to the page's own path.
        onward: The address that the browser opens at once, "" for none; a link leads there, too.
    """

    status: int
    title: str
    text: str
    next_step: str
    good: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    button: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    onward: str = ""


_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.125rem/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;"
    "padding:0 1.5rem}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}"
    "h1::before{display:block;font-size:2.5rem;content:attr(data-mark);line-height:1.2}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1.5rem 0}"
    "dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}"
    ".next{border-left:.25rem solid;padding-left:1rem}"
    "button{font:inherit;font-weight:600;padding:.75rem 1.5rem;border:.125rem solid #1d4ed8;"
    "border-radius:.5rem;background:#1d4ed8;color:#fff;cursor:pointer}"
    "button:hover{background:#1e3a8a}"
    ":focus-visible{outline:.1875rem solid currentColor;outline-offset:.1875rem}"
    "button:focus-visible{outline-color:#1d4ed8}"
    "@media(prefers-color-scheme:dark){button:focus-visible{outline-color:#93c5fd}}"
    "@media(max-width:30rem){body{margin:4vh auto}dl{grid-template-columns:1fr;gap:0}"
    "dd{margin:0 0 .75rem}button{width:100%}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_TEMPLATE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{% if page.onward %}<meta http-equiv="refresh" content="0; url={{ page.onward }}">
{% endif %}<title>{{ page.title }} - botkit</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1 data-mark="{{ mark }}">{{ page.title }}</h1>
<p>{{ page.text }}</p>
{% if page.facts %}<dl>
{% for label, fact in page.facts %}<dt>{{ label }}</dt><dd>{{ fact }}</dd>
{% endfor %}</dl>
{% endif %}{% for note in page.notes %}<p>{{ note }}</p>
{% endfor %}{% if page.button %}<form method="post">
{% for name, value in page.fields %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}<p><button type="submit">{{ page.button }}</button></p>
</form>
{% endif %}<p class="next">{{ page.next_step }}</p>
{% if page.onward %}<p><a href="{{ page.onward }}">Go on to X</a></p>
{% endif %}</main>
</body>
</html>
"""
)


def render(page: Page) -> tuple[bytes, dict[str, str]]:
    """Return the page's bytes and headers."""
    body = _TEMPLATE.render(page=page, style=_STYLE, mark=_mark(page))
    headers = dict(SECURITY_HEADERS)
    forms = "'self'" if page.button else "'none'"
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
        f" form-action {forms}; frame-ancestors 'none'"
    )
    if page.button:
        # With no-referrer a browser says of its own form that it comes from nowhere (Origin:
        # null), and it could not be told from a foreign one. Source: Fetch, "Origin header".
        headers["Referrer-Policy"] = "same-origin"
    headers["Content-Type"] = "text/html; charset=utf-8"
    return body.encode(), headers


def _mark(page: Page) -> str:
    """Return a check mark, an arrow if the page goes on, or an exclamation mark."""
    if page.good:
        return "\u2713"
    return "\u2192" if page.button or page.onward else "!"
