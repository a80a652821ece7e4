"""Answer X's OAuth 1.0a routes: request token, consent page, PIN, access token, invalidation.

The sandbox tolerates the same deviations as X: any nonce, GET, an access token call signed without
the request token's secret, a callback with a query of its own.

Without a browser, POST `oauth_token`, `as` with a username, and `decision` with `authorize` or
`cancel` to the page's address. The answer is the redirect to the app, or the page with the PIN.

Source: X API docs, "Log in with X" and "PIN-based authorization"; answers are forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.world.oauth1_tokens import PIN_CALLBACK, Signed, read_signed
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.routes.signin import consent_pages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.oauth1_tokens import OAuth1Token, RequestToken
    from botkit.sandbox.world.world import UserRecord

__all__ = ["OAUTH1_ROUTES", "signing_pair"]

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_LEVELS: Mapping[str, tuple[str, ...]] = {
    "read": ("See posts and profiles you can see",),
    "read-write": (
        "See posts and profiles you can see",
        "Post, delete, follow and update your profile for you",
    ),
    "read-write-directmessages": (
        "See posts and profiles you can see",
        "Post, delete, follow and update your profile for you",
        "Read and send direct messages for you",
    ),
}


def signing_pair(request: RequestContext) -> OAuth1Token | None:
    """Return the living access token that signed a call; None if the call is not signed.

    Raises:
        Refused: The signature is wrong. Code 89: the token is dead.
    """
    signed = read_signed(request.call)
    if signed is None:
        return None
    app = _app(request, signed)
    pair = request.world.oauth1_tokens.by_token(signed.get("oauth_token"))
    if pair is None or pair.app is not app:
        raise problems.v1_error(401, 89, "Invalid or expired token.")
    request.world.oauth1_tokens.check(request.call, signed, app, pair.secret)
    return pair


def _request_token(request: RequestContext) -> Answer:
    signed = _signed(request)
    app = _app(request, signed)
    request.world.oauth1_tokens.check(request.call, signed, app)
    callback = signed.get("oauth_callback")
    if not callback:
        raise problems.v1_error(400, 215, "Bad Authentication data.")
    if callback == PIN_CALLBACK and not (app.takes_pin and app.redirect_uris):
        words = "Desktop applications only support the oauth_callback value 'oob'"
        raise problems.v1_error(403, 417, words)
    # A registered address may be sent with a query of the client's own.
    if callback != PIN_CALLBACK and not {callback, callback.partition("?")[0]} & set(
        app.redirect_uris
    ):
        words = (
            "Callback URL not approved for this client application. Approved callback URLs can be"
            " adjusted in your application settings"
        )
        raise problems.v1_error(403, 415, words)
    token = request.world.oauth1_tokens.begin(app, callback)
    return _form(
        oauth_token=token.token,
        oauth_token_secret=token.secret,
        oauth_callback_confirmed="true",
    )


def _show(request: RequestContext) -> Answer:
    token = _asked(request, request.call.param("oauth_token") or "")
    wanted = request.world.find_user(request.call.param("screen_name") or "")
    return consent_pages.ask(
        request,
        app=token.app.name,
        heading=f"Authorize {token.app.name} to access an account?",
        action="/oauth/authorize",
        asked={"oauth_token": token.token},
        lead="This app will be able to",
        things=[(words, "") for words in _LEVELS[token.app.level]],
        callback="" if token.callback == PIN_CALLBACK else token.callback,
        current=wanted.username if wanted else None,
    )


def _sign_in(request: RequestContext) -> Answer:
    """Show the consent page, or redirect at once if the user agreed before."""
    token = _asked(request, request.call.param("oauth_token") or "")
    name = consent_pages.current_user(request)
    user = request.world.find_user(name) if name else None
    if user is None or request.call.param("force_login") == "true":
        return _show(request)
    known = any(pair.app is token.app for pair in request.world.oauth1_tokens.of_user(user.id))
    return _agreed(request, token, user) if known else _show(request)


def _decide(request: RequestContext) -> Answer:
    asked = dict(request.call.query) | request.call.fields()
    token = _asked(request, asked.get("oauth_token", ""))
    user = consent_pages.who_decides(request, asked)
    if asked.get("decision") == "authorize":
        return _agreed(request, token, user)
    request.world.oauth1_tokens.drop(token)
    if token.callback == PIN_CALLBACK:
        raise consent_pages.refusal(request, "the person declined.")
    return consent_pages.back(token.callback, user, {"denied": token.token})


def _agreed(request: RequestContext, token: RequestToken, user: UserRecord) -> Answer:
    verifier = request.world.oauth1_tokens.agree(token, user.id)
    if token.callback == PIN_CALLBACK:
        return consent_pages.show_pin(token.app.name, verifier)
    result = {"oauth_token": token.token, "oauth_verifier": verifier}
    return consent_pages.back(token.callback, user, result)


def _access_token(request: RequestContext) -> Answer:
    signed = _signed(request)
    app = _app(request, signed)
    pairs = request.world.oauth1_tokens
    token = pairs.request_token(signed.get("oauth_token"))
    if token is None or token.app is not app:
        raise problems.v1_error(401, 89, "Invalid or expired token.")
    # Some clients sign without the request token's secret here, and X accepts that.
    pairs.check(request.call, signed, app, token.secret, "")
    verifier = signed.get("oauth_verifier")
    pair = pairs.exchange(token, verifier)
    request.world.grants.note("oauth_verifier", "taken" if pair else "refused", token=verifier)
    if pair is None:
        text = "Error processing your OAuth request: Invalid oauth_verifier parameter"
        return Answer(status=401, headers={"content-type": "text/plain"}, body=text.encode())
    user = request.world.users[pair.user_id]
    return _form(
        oauth_token=pair.token,
        oauth_token_secret=pair.secret,
        user_id=user.id,
        screen_name=user.username,
    )


def _invalidate(request: RequestContext) -> Answer:
    pair = signing_pair(request)
    if pair is None:
        raise problems.v1_error(400, 215, "Bad Authentication data.")
    request.world.oauth1_tokens.end(pair)
    return Answer.json(200, {"access_token": pair.token})


def _verify_credentials(request: RequestContext) -> Answer:
    """Return the signing user in the form of X's older API, which logins of websites call last."""
    pair = signing_pair(request)
    if pair is None:
        raise problems.v1_error(400, 215, "Bad Authentication data.")
    user = request.world.users[pair.user_id]
    body = {
        "id": int(user.id),
        "id_str": user.id,
        "name": user.name,
        "screen_name": user.username,
        "location": "",
        "description": user.description,
        "url": None,
        "protected": user.protected,
        "followers_count": len(user.followers),
        "friends_count": len(user.following),
        "listed_count": 0,
        "favourites_count": 0,
        "statuses_count": request.world.count("posts", user.id),
        "created_at": user.created_at.strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "verified": False,
        "suspended": user.suspended,
    }
    return Answer.json(200, body, x_access_level=pair.level)


def _signed(request: RequestContext) -> Signed:
    signed = read_signed(request.call)
    if signed is None:
        raise problems.v1_error(400, 215, "Bad Authentication data.")
    return signed


def _app(request: RequestContext, signed: Signed) -> App:
    app = request.world.grants.app_by_key(signed.get("oauth_consumer_key"))
    if app is None:
        raise problems.bad_signature()
    return app


def _asked(request: RequestContext, value: str) -> RequestToken:
    token = request.world.oauth1_tokens.request_token(value)
    if token is None or token.verifier:
        raise consent_pages.refusal(
            request, "the request token for this page is unknown, used or over."
        )
    return token


def _form(**fields: str) -> Answer:
    headers = {"content-type": _FORM, "cache-control": "no-store"}
    return Answer(status=200, headers=headers, body=urlencode(fields).encode())


OAUTH1_ROUTES = (
    ApiRoute("POST", "/oauth/request_token", _request_token),
    ApiRoute("GET", "/oauth/request_token", _request_token),
    ApiRoute("GET", "/oauth/authorize", _show),
    ApiRoute("POST", "/oauth/authorize", _decide),
    ApiRoute("GET", "/oauth/authenticate", _sign_in),
    ApiRoute("POST", "/oauth/authenticate", _decide),
    ApiRoute("POST", "/oauth/access_token", _access_token),
    ApiRoute("GET", "/oauth/access_token", _access_token),
    ApiRoute("POST", "/1.1/oauth/invalidate_token", _invalidate),
    ApiRoute("POST", "/1.1/oauth/invalidate_token.json", _invalidate),
    ApiRoute("GET", "/1.1/account/verify_credentials.json", _verify_credentials),
)
