"""X's consent page: who is logged in, what the app asks for, Authorize or Cancel.

Without a browser: POST the page's fields (the query's, and `as` with a username and `decision`
with `authorize` or `cancel`) to the page's address; the answer is the redirect to the app.
Nothing is loaded from elsewhere, and no script runs.

Source: X API docs, "Authorization code".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import jinja2

from botkit.sandbox.http import Answer, Refused
from botkit.sandbox.visit import Route, Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.sandbox.grants import App

__all__ = [
    "CONSENT_ROUTES",
    "SCOPES",
    "SESSION_COOKIE",
    "STYLE",
    "TEMPLATES",
    "current_user",
    "origin",
    "page_answer",
    "refusal",
]

SESSION_COOKIE = "sandbox_user"
_MAX_STATE = 500
_ASKED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
_METHODS = frozenset({"s256", "plain"})
_CHALLENGE = re.compile(r"[A-Za-z0-9\-._~]{43,128}")

SCOPES: Mapping[str, str] = {
    "tweet.read": "See posts you can see",
    "tweet.write": "Post, delete and repost for you",
    "tweet.moderate.write": "Hide and unhide replies to your posts",
    "users.read": "See profiles you can see",
    "users.email": "See your e-mail address",
    "follows.read": "See who follows you and whom you follow",
    "follows.write": "Follow and unfollow for you",
    "offline.access": "Stay connected until you revoke access",
    "space.read": "See Spaces you can see",
    "mute.read": "See whom you muted",
    "mute.write": "Mute and unmute for you",
    "like.read": "See what you liked",
    "like.write": "Like and unlike for you",
    "list.read": "See your lists",
    "list.write": "Create and manage lists for you",
    "block.read": "See whom you blocked",
    "block.write": "Block and unblock for you",
    "bookmark.read": "See your bookmarks",
    "bookmark.write": "Bookmark for you",
    "dm.read": "Read your direct messages",
    "dm.write": "Send and manage direct messages for you",
    "media.write": "Upload media for you",
    "timeline.read": "See your timelines",
    "broadcast.read": "See live broadcasts and their chat",
    "broadcast.write": "Manage live broadcasts for you",
    "ads.read": "See your ads",
    "ads.write": "Manage your ads",
}
"""The scopes that X knows, in words. Source: X API docs, "OAuth 2.0 scopes"."""

TEMPLATES = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
STYLE = """
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
_CONSENT = TEMPLATES.from_string(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Authorize {{ app }} - sandbox X</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<p class="note">Sandbox X: nothing here is real.</p>
<h1>{{ app }} wants to access an X account</h1>
<form method="post" action="/i/oauth2/authorize">
{% for name, value in asked %}
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
<h2 id="things">Things this app can do</h2>
<ul aria-labelledby="things">
{% for scope, words in scopes %}
<li>{{ words }} <code>{{ scope }}</code></li>
{% endfor %}
</ul>
<p>
<button type="submit" name="decision" value="authorize">Authorize app</button>
<button type="submit" name="decision" value="cancel">Cancel</button>
</p>
<p class="note">You go back to {{ target }}.</p>
</form>
</main>
</body>
</html>
"""
)
_REFUSAL = TEMPLATES.from_string(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Something went wrong - sandbox X</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>Something went wrong</h1>
<p>You weren't able to give access to the app. Go back and try logging in again.</p>
<p class="note">X says no more than this. The sandbox does: {{ reason }}</p>
</main>
</body>
</html>
"""
)


def _show(visit: Visit) -> Answer:
    asked = dict(visit.call.query)
    app, scopes = _checked(visit, asked)
    users = [user for user in visit.world.users.values() if not user.suspended]
    page = _CONSENT.render(
        style=STYLE,
        app=app.name,
        asked=[(name, asked[name]) for name in _ASKED if name in asked],
        users=users,
        current=current_user(visit),
        scopes=[(scope, SCOPES[scope]) for scope in scopes],
        target=origin(asked["redirect_uri"]),
    )
    return page_answer(200, page, form_to=origin(asked["redirect_uri"]))


def _decide(visit: Visit) -> Answer:
    asked = dict(visit.call.query) | visit.call.fields()
    app, scopes = _checked(visit, asked)
    name = asked.get("as") or current_user(visit)
    user = visit.world.find_user(name) if name else None
    if user is None:
        raise refusal(visit, "nobody is logged in: name the user in the field `as`.")
    if asked.get("decision") == "authorize":
        code = visit.world.grants.issue_code(
            app,
            user.id,
            redirect_uri=asked["redirect_uri"],
            scopes=scopes,
            challenge=asked["code_challenge"],
            method=asked["code_challenge_method"],
        )
        result = {"state": asked["state"], "code": code}
    else:
        result = {"error": "access_denied", "state": asked["state"]}
    # Everything is percent-encoded: a state may hold + / = and a space would not survive as +.
    query = urlencode(result, quote_via=quote, safe="")
    redirect_uri = asked["redirect_uri"]
    location = f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"
    headers = {"location": location, "cache-control": "no-store"}
    headers["set-cookie"] = f"{SESSION_COOKIE}={user.username}; Path=/; HttpOnly; SameSite=Lax"
    return Answer(status=302, headers=headers)


def _checked(visit: Visit, asked: dict[str, str]) -> tuple[App, list[str]]:
    """The app and the scopes of a well-formed request. Raises `Refused`."""
    app = visit.world.grants.apps.get(asked.get("client_id", ""))
    if app is None:
        raise refusal(visit, "no app has this client_id.")
    if asked.get("redirect_uri") not in app.redirect_uris:
        raise refusal(
            visit,
            "the redirect uri does not match any callback URL that is registered for the app.",
        )
    fault = _fault(asked)
    if fault:
        raise refusal(visit, fault)
    scopes = asked["scope"].split()
    return app, list(dict.fromkeys(scopes))


def _fault(asked: dict[str, str]) -> str:
    scopes = asked.get("scope", "").split()
    unknown = [scope for scope in scopes if scope not in SCOPES]
    rules = (
        (asked.get("response_type") == "code", "response_type must be code."),
        (bool(scopes) and not unknown, f"scope: not known to X: {' '.join(unknown) or 'nothing'}"),
        (0 < len(asked.get("state", "")) <= _MAX_STATE, "state must have 1 to 500 characters."),
        (
            asked.get("code_challenge_method", "").lower() in _METHODS,
            "code_challenge_method must be S256 or plain.",
        ),
        (
            _CHALLENGE.fullmatch(asked.get("code_challenge", "")) is not None,
            "code_challenge must have 43 to 128 unreserved characters.",
        ),
    )
    return next((text for holds, text in rules if not holds), "")


def current_user(visit: Visit) -> str | None:
    """The username of the browser's session, else of whoever is logged in here."""
    session = visit.call.cookie(SESSION_COOKIE)
    if session and visit.world.find_user(session):
        return session
    return visit.world.logged_in


def refusal(visit: Visit, reason: str) -> Refused:
    """A page for a browser, JSON for others, with the reason that X would not give."""
    if "text/html" in visit.call.headers.get("accept", ""):
        return Refused(page_answer(400, _REFUSAL.render(style=STYLE, reason=reason)))
    body = {"error": "invalid_request", "error_description": f"Bad request: {reason}"}
    return Refused(Answer.json(400, body, cache_control="no-store"))


def origin(redirect_uri: str) -> str:
    """Scheme and authority of an address."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def page_answer(status: int, page: str, *, form_to: str = "") -> Answer:
    """A page with its headers; `form_to` is the origin that its form ends at."""
    # The form's redirect is checked against form-action too, so the app's origin stands there.
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
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
        body=page.encode(),
    )


CONSENT_ROUTES = (
    Route("GET", "/i/oauth2/authorize", _show),
    Route("POST", "/i/oauth2/authorize", _decide),
    Route("GET", "/2/oauth2/authorize", _show),
    Route("POST", "/2/oauth2/authorize", _decide),
)
