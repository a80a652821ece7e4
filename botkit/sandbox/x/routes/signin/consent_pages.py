"""The consent pages of the simulated X, for OAuth 2.0 and 1.0a, and the redirect to the app.

The pages load nothing from elsewhere and run no script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import jinja2

from botkit.sandbox.wire.exchange import Answer, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botkit.sandbox.world.world import UserRecord
    from botkit.sandbox.x.context import RequestContext

__all__ = ["SESSION_COOKIE", "ask", "back", "current_user", "refusal", "show_pin", "who_decides"]

SESSION_COOKIE = "sandbox_user"

_STYLE = """
:root { color-scheme: light dark; }
h1 { font-size: 1.6rem; line-height: 1.25; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 2rem auto; padding: 0 1rem;
       color: #14171a; background: #fff; }
button, select { font: inherit; padding: .5rem 1rem; }
button { border-radius: 2rem; border: 2px solid #0f1419; cursor: pointer; background: #fff;
         color: #0f1419; margin: 0 .5rem .5rem 0; }
label { display: block; } select { max-width: 100%; }
#oauth_pin { font-size: 2rem; letter-spacing: .2em; }
button[value=authorize] { background: #0f1419; color: #fff; }
.note { color: #536471; }
@media (prefers-color-scheme: dark) {
  body { color: #e7e9ea; background: #15202b; } .note { color: #8b98a5; }
  button { border-color: #e7e9ea; background: #15202b; color: #e7e9ea; }
  button[value=authorize] { background: #e7e9ea; color: #0f1419; }
}
"""
_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}{% endblock %} - sandbox X</title>
<style>{{ style }}</style>
</head>
<body>
<main>
{% block main %}{% endblock %}
</main>
</body>
</html>
"""
_CONSENT = """{% extends "frame" %}
{% block title %}Authorize {{ app }}{% endblock %}
{% block main %}
<p class="note">Sandbox X: nothing here is real.</p>
<h1>{{ heading }}</h1>
<form method="post" action="{{ action }}">
{% for name, value in asked.items() %}
<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}
<p>
<label for="as">Logged in as</label>
<select id="as" name="as">
{% for user in users %}
<option value="{{ user.username }}"{% if user.username == current %} selected{% endif %}>
{{- user.name }} (@{{ user.username }})</option>
{% endfor %}
</select>
</p>
<h2 id="things">{{ lead }}</h2>
<ul aria-labelledby="things">
{% for words, scope in things %}
<li>{{ words }}{% if scope %} <code>{{ scope }}</code>{% endif %}</li>
{% endfor %}
</ul>
<p>
<button type="submit" name="decision" value="authorize">Authorize app</button>
<button type="submit" name="decision" value="cancel">Cancel</button>
</p>
<p class="note">{{ "You go back to " ~ target ~ "." if target else "You will see a PIN." }}</p>
</form>
{% endblock %}
"""
_REFUSAL = """{% extends "frame" %}
{% block title %}Something went wrong{% endblock %}
{% block main %}
<h1>Something went wrong</h1>
<p>You weren't able to give access to the app. Go back and try logging in again.</p>
<p class="note">X says no more than this. The sandbox does: {{ reason }}</p>
{% endblock %}
"""
_PIN = """{% extends "frame" %}
{% block title %}PIN for {{ app }}{% endblock %}
{% block main %}
<h1>You have granted access to {{ app }}</h1>
<p>Return to {{ app }} and enter this PIN to complete the authorization process:</p>
<p><strong><code id="oauth_pin">{{ pin }}</code></strong></p>
{% endblock %}
"""
_PAGES = jinja2.Environment(
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    loader=jinja2.DictLoader(
        {"frame": _FRAME, "consent": _CONSENT, "refusal": _REFUSAL, "pin": _PIN}
    ),
)


def ask(
    request: RequestContext,
    *,
    app: str,
    heading: str,
    action: str,
    asked: Mapping[str, str],
    lead: str,
    things: Sequence[tuple[str, str]],
    callback: str,
    current: str | None = None,
) -> Answer:
    """Return the page with "Authorize app" and "Cancel".

    The form sends the decision to `action`, with `asked` as hidden fields. `things` are the
    permissions that the app wants, each as a description and a name ("" if it has none).
    `callback` is the address of the redirect afterwards, "" for a PIN. `current` is the user who
    is logged in, if it differs from the user of this browser.
    """
    target = _origin(callback) if callback else ""
    return _page(
        "consent",
        form_to=target,
        app=app,
        heading=heading,
        action=action,
        asked=asked,
        users=[user for user in request.world.users.values() if not user.suspended],
        current=current or current_user(request),
        lead=lead,
        things=things,
        target=target,
    )


def who_decides(request: RequestContext, asked: Mapping[str, str]) -> UserRecord:
    """Return the user who decided: the one of the field `as`, or the one who is logged in."""
    name = asked.get("as") or current_user(request)
    user = request.world.find_user(name) if name else None
    if user is None:
        raise refusal(request, "nobody is logged in: name the user in the field `as`.")
    return user


def back(callback: str, user: UserRecord, result: Mapping[str, str]) -> Answer:
    """Return the redirect to the app with the outcome; the browser stays logged in as the user."""
    # Percent-encode everything: a state may contain + / =, and a space must not become a +.
    query = urlencode(result, quote_via=quote, safe="")
    headers = {
        "location": f"{callback}{'&' if '?' in callback else '?'}{query}",
        "cache-control": "no-store",
        "set-cookie": f"{SESSION_COOKIE}={user.username}; Path=/; HttpOnly; SameSite=Lax",
    }
    return Answer(status=302, headers=headers)


def show_pin(app: str, pin: str) -> Answer:
    """Return the page that shows the PIN."""
    return _page("pin", app=app, pin=pin)


def current_user(request: RequestContext) -> str | None:
    """Return the username of the browser's session, or of the user who is logged in here."""
    session = request.call.cookie(SESSION_COOKIE)
    if session and request.world.find_user(session):
        return session
    return request.world.logged_in


def refusal(request: RequestContext, reason: str) -> Refused:
    """Return a page for a browser, JSON for others, with the reason, which X would not tell."""
    if "text/html" in request.call.headers.get("accept", ""):
        return Refused(_page("refusal", 400, reason=reason))
    body = {"error": "invalid_request", "error_description": f"Bad request: {reason}"}
    return Refused(Answer.json(400, body, cache_control="no-store"))


def _origin(callback: str) -> str:
    """Return scheme and authority of an address."""
    parts = urlsplit(callback)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def _page(name: str, status: int = 200, *, form_to: str = "", **shown: object) -> Answer:
    """Return a page with its headers; `form_to` is the origin to which its form redirects."""
    # Browsers check the form's redirect against form-action, too: it lists the app's origin.
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        f" form-action 'self' {form_to}; frame-ancestors 'none'"
    )
    return Answer(
        status=status,
        headers={
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": policy,
            "cache-control": "no-store",
            # With no-referrer a browser says "null" for the origin of the page's own form.
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        },
        body=_PAGES.get_template(name).render(style=_STYLE, **shown).encode(),
    )
