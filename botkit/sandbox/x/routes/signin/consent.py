"""X's consent page: the user who is logged in, the scopes of the app, Authorize or Cancel.

Without a browser, POST the page's fields to its address: those of the query, `as` with a username,
and `decision` with `authorize` or `cancel`. The answer is the redirect to the app.
The page loads nothing from elsewhere and runs no script.

Source: X API docs, "Authorization code".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.routes.signin import consent_pages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.sandbox.wire.exchange import Answer
    from botkit.sandbox.world.grants import App

__all__ = ["CONSENT_ROUTES", "SCOPES"]

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
_CHALLENGES = {"s256": r"[A-Za-z0-9_-]{43}", "plain": r"[A-Za-z0-9\-._~]{1,128}"}
"""The patterns of challenges by method. X accepts a plain one shorter than RFC 7636 allows:
clients in the wild log in with `code_challenge=challenge`."""

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
"""X's scopes, each with its description. Source: X API docs, "OAuth 2.0 scopes"."""


def _show(request: RequestContext) -> Answer:
    asked = dict(request.call.query)
    app, scopes = _checked(request, asked)
    return consent_pages.ask(
        request,
        app=app.name,
        heading=f"{app.name} wants to access an X account",
        action="/i/oauth2/authorize",
        asked={name: asked[name] for name in _ASKED if name in asked},
        lead="Things this app can do",
        things=[(SCOPES[scope], scope) for scope in scopes],
        callback=asked["redirect_uri"],
    )


def _decide(request: RequestContext) -> Answer:
    asked = dict(request.call.query) | request.call.fields()
    app, scopes = _checked(request, asked)
    user = consent_pages.who_decides(request, asked)
    if asked.get("decision") == "authorize":
        code = request.world.grants.issue_code(
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
    return consent_pages.back(asked["redirect_uri"], user, result)


def _checked(request: RequestContext, asked: dict[str, str]) -> tuple[App, list[str]]:
    """Return the app and the scopes of a request. Raise `Refused` if it is malformed."""
    app = request.world.grants.apps.get(asked.get("client_id", ""))
    if app is None:
        raise consent_pages.refusal(request, "no app has this client_id.")
    if asked.get("redirect_uri") not in app.redirect_uris:
        raise consent_pages.refusal(
            request,
            "the redirect uri does not match any callback URL that is registered for the app.",
        )
    fault = _fault(asked)
    if fault:
        raise consent_pages.refusal(request, fault)
    scopes = asked["scope"].split()
    return app, list(dict.fromkeys(scopes))


def _fault(asked: dict[str, str]) -> str:
    scopes = asked.get("scope", "").split()
    unknown = [scope for scope in scopes if scope not in SCOPES]
    method = asked.get("code_challenge_method", "").lower()
    challenge = re.fullmatch(_CHALLENGES.get(method, ""), asked.get("code_challenge", ""))
    rules = (
        (asked.get("response_type") == "code", "response_type must be code."),
        (bool(scopes) and not unknown, f"scope: not known to X: {' '.join(unknown) or 'nothing'}"),
        (0 < len(asked.get("state", "")) <= _MAX_STATE, "state must have 1 to 500 characters."),
        (method in _CHALLENGES, "code_challenge_method must be S256 or plain."),
        (
            challenge is not None,
            "code_challenge must have 43 characters (S256), or 1 to 128 unreserved ones (plain).",
        ),
    )
    return next((text for holds, text in rules if not holds), "")


CONSENT_ROUTES = (
    ApiRoute("GET", "/i/oauth2/authorize", _show),
    ApiRoute("POST", "/i/oauth2/authorize", _decide),
    ApiRoute("GET", "/2/oauth2/authorize", _show),
    ApiRoute("POST", "/2/oauth2/authorize", _decide),
)
